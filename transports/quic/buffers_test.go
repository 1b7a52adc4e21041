package quic

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// The operator hears once of small buffers, with the command that mends them.
func TestSmallBuffersAreToldOnce(t *testing.T) {
	var told []string
	tr := New(transporttest.Runtime(t), Config{})
	err := tr.Join(conduit.Node{Key: transporttest.Key(1), Warn: func(what string, pairs ...any) {
		told = append(told, what+fmt.Sprint(pairs...))
	}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		tr.advise("linux", "[::]:4001", 425984, 425984)
		tr.advise("linux", "[::]:4001", wantBuffer, wantBuffer)
	}
	if len(told) != 1 || !strings.Contains(told[0], "sysctl -w net.core.rmem_max=7500000 net.core.wmem_max=7500000") ||
		!strings.Contains(told[0], "425984") || !strings.Contains(told[0], "[::]:4001") {
		t.Errorf("told %q", told)
	}
	tr = New(transporttest.Runtime(t), Config{Key: transporttest.Key(1)})
	l, err := tr.Listen(anyPort, &transporttest.Acceptor{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if os.Getenv(quicGoComplains) == "" {
		t.Error("quic-go prints a line of its own")
	}
}

func TestTheBuffersOfASocketAreKnown(t *testing.T) {
	tr := New(transporttest.Runtime(t), Config{Key: transporttest.Key(1)})
	l, err := tr.Listen(anyPort, &transporttest.Acceptor{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if r, w, err := bufferSizes(l.(*listener).s.pc); err != nil || r < 1<<16 || w < 1<<16 {
		t.Errorf("%d and %d bytes, %v", r, w, err)
	}
}

package quicstack

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/troupe-p2p/troupe/testkit/transporttest"
)

// The operator hears once of small buffers, with the command that mends them.
func TestSmallBuffersAreToldOnce(t *testing.T) {
	var told []string
	st := New(transporttest.Runtime(t), Config{Key: transporttest.Key(1), Warn: func(what string, pairs ...any) {
		told = append(told, what+fmt.Sprint(pairs...))
	}})
	for range 2 {
		st.advise("linux", "[::]:4001", 425984, 425984)
		st.advise("linux", "[::]:4001", wantBuffer, wantBuffer)
	}
	if len(told) != 1 || !strings.Contains(told[0], "sysctl -w net.core.rmem_max=7500000 net.core.wmem_max=7500000") ||
		!strings.Contains(told[0], "425984") || !strings.Contains(told[0], "[::]:4001") {
		t.Errorf("told %q", told)
	}
}

func TestTheBuffersOfASocketAreKnown(t *testing.T) {
	st := New(transporttest.Runtime(t), Config{Key: transporttest.Key(1)})
	s, err := st.socketToDial("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.leave(s) }()
	if r, w, err := bufferSizes(s.pc); err != nil || r < 1<<16 || w < 1<<16 {
		t.Errorf("%d and %d bytes, %v", r, w, err)
	}
	if os.Getenv(quicGoComplains) == "" {
		t.Error("quic-go prints a line of its own")
	}
}

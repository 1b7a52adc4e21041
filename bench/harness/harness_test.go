package harness

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/bench/control"
)

func usage(heap, stack, rss uint64, goroutines int) control.Usage {
	return control.Usage{Heap: heap, Stack: stack, RSS: rss, Goroutines: goroutines}
}

func TestProxyDelaysBothWaysAndLosesNothing(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		_, _ = io.Copy(c, c)
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	addr, err := (&env{}).delay(ctx, "/ip4/127.0.0.1/tcp/"+port+"/p2p/x")
	if err != nil || !strings.HasSuffix(addr, "/p2p/x") {
		t.Fatal(addr, err)
	}
	c, err := net.Dial("tcp", "127.0.0.1:"+strings.Split(addr, "/")[4])
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(began); d < 2*oneWay {
		t.Errorf("there and back took %v", d)
	}
	sent := bytes.Repeat([]byte("0123456789"), 1<<20)
	go func() {
		_, _ = c.Write(sent)
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d bytes of %d came back, %v", len(got), len(sent), err)
	}
}

// TestEverySideIsMeasured runs some short experiments with all programs, and looks at the report.
func TestEverySideIsMeasured(t *testing.T) {
	var table, log bytes.Buffer
	out := filepath.Join(t.TempDir(), "R.md")
	err := Run(t.Context(), Config{
		Dir: "..", Quick: true, Rounds: 1, Out: out, Table: &table, Log: &log,
		Only: regexp.MustCompile("^(throughput-noise-1|throughput-noise-1-down|requests-32|connects-4|ping|memory-streams|binary)$"),
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	written, err := os.ReadFile(out)
	if err != nil || string(written) != table.String() {
		t.Errorf("the file differs from what is printed: %v", err)
	}
	for _, want := range []string{
		"go-libp2p v0.51.0", "Quick run", "\n| TCP+Noise+yamux, one stream, 64 KiB writes | MB/s | ", "| bare limit |",
		"| Troupe to go-libp2p |", "| go-libp2p to Troupe |", "met", "| stripped echo node",
	} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, table.String())
		}
	}
}

package protocols_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-p2p/troupe/mux"
	"github.com/troupe-p2p/troupe/protocols/demo"
	"github.com/troupe-p2p/troupe/protocols/echo"
	"github.com/troupe-p2p/troupe/stream"
)

// noise is n bytes that are not easily right by chance.
func noise(n int, seed uint64) []byte {
	p := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return p
}

func TestEchoReturnsEveryByteOfManyStreamsInOrder(t *testing.T) {
	p := newPair(t, loopback)
	p.b.handle(echo.Protocol, echo.Handler())
	var wg sync.WaitGroup
	for i := range 8 {
		s := p.a.open(echo.Protocol)
		wg.Go(func() {
			want := noise(2<<20, uint64(i))
			wg.Go(func() {
				for rest := want; len(rest) > 0; {
					n, err := s.Write(rest[:min(len(rest), 1000*(i+1))])
					if err != nil {
						t.Errorf("stream %d: %v", i, err)
						return
					}
					rest = rest[n:]
				}
				_ = s.CloseWrite()
			})
			got, err := io.ReadAll(s)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("stream %d: %d bytes came back of %d, err %v", i, len(got), len(want), err)
			}
			if err := s.Close(); err != nil {
				t.Errorf("stream %d: close: %v", i, err)
			}
		})
	}
	wg.Wait()
}

func TestEchoStopsReadingWhenNobodyReadsItsAnswers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPair(t, loopback)
		p.b.handle(echo.Protocol, echo.Handler())
		s := p.a.open(echo.Protocol)
		// The remote never reads: what it can write ends with the windows of both
		// directions and the output cap of the handler.
		_ = s.SetWriteDeadline(time.Now().Add(time.Second))
		wrote, err := 0, error(nil)
		for chunk := make([]byte, 32<<10); err == nil; {
			var n int
			n, err = s.Write(chunk)
			wrote += n
			if wrote > 2<<20 {
				t.Fatalf("a remote that reads nothing could write %d bytes: two windows, two caps and the wire hold less", wrote)
			}
		}
		if wrote < 256<<10 {
			t.Fatalf("only %d bytes were taken: less than one window", wrote)
		}
		// Once it reads, everything comes back.
		_ = s.SetWriteDeadline(time.Time{})
		_ = s.CloseWrite()
		got, err := io.ReadAll(s)
		if err != nil || len(got) != wrote {
			t.Fatalf("%d bytes came back of %d, err %v", len(got), wrote, err)
		}
	})
}

func TestCrashCostsItsStreamAndNothingElse(t *testing.T) {
	p := newPair(t, loopback)
	p.b.handle(echo.Protocol, echo.Handler())
	p.b.handle(demo.CrashProtocol, demo.Crash())
	busy := p.a.open(echo.Protocol)
	for range 50 {
		s := p.a.open(demo.CrashProtocol)
		if _, err := s.Write([]byte("boo")); err != nil {
			t.Fatal(err)
		}
		_, err := s.Read(make([]byte, 1))
		var re *mux.ResetError
		if !errors.As(err, &re) || !re.Remote || re.Code != stream.CodeHandlerPanic {
			t.Fatalf("want the named code for a panic, got %v", err)
		}
		ping := []byte("still here")
		if _, err := busy.Write(ping); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(ping))
		if _, err := io.ReadFull(busy, got); err != nil || !bytes.Equal(got, ping) {
			t.Fatalf("the stream beside it: %q, %v", got, err)
		}
	}
	if n := len(p.rt.Tree("").Failures); n != 50 {
		t.Errorf("the tree shows %d failures of 50", n)
	}
}

func TestHungAndStuckHandlersEndWithTheirPeer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPair(t, loopback)
		release := make(chan struct{})
		p.b.handle(demo.HangProtocol, demo.Hang(release))
		p.b.handle(demo.StuckProtocol, demo.Stuck(release))
		for _, protocol := range []string{demo.HangProtocol, demo.StuckProtocol} {
			for range 10 {
				if _, err := p.a.open(protocol).Write([]byte("x")); err != nil {
					t.Fatal(err)
				}
			}
		}
		synctest.Wait()
		if used, _ := p.b.streams.Used(); used != 20 {
			t.Fatalf("%d streams are held, want 20", used)
		}
		p.a.close()
		within(t, "the end of the connection", p.b.ended)
		pass(time.Second)
		if used, _ := p.b.streams.Used(); used != 0 {
			t.Errorf("%d streams are still held a second after the peer has gone", used)
		}
		tree := p.rt.Tree("")
		if len(tree.Abandoned) != 10 || len(tree.Strays) != 10 {
			t.Errorf("%d abandoned and %d strays are listed, want 10 and 10", len(tree.Abandoned), len(tree.Strays))
		}
		close(release)
		synctest.Wait()
		if tree := p.rt.Tree(""); len(tree.Abandoned)+len(tree.Strays) != 0 {
			t.Errorf("some are listed although they have returned: %d, %d", len(tree.Abandoned), len(tree.Strays))
		}
	})
}

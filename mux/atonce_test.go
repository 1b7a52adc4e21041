package mux_test

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-p2p/troupe/stream"
)

// TestAConnectionWithoutStuckHandlersEndsAtOnce: in virtual time, which stands still unless
// somebody waits for a timer. Only a handler that does not take the news may make the end wait,
// or a peer that comes and goes quickly would meet the limits with connections that are over.
func TestAConnectionWithoutStuckHandlersEndsAtOnce(t *testing.T) {
	echo := func(t *testing.T, w *world) *stream.Blocking {
		s := w.a.open("/echo")
		if _, err := s.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(s, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, c := range []struct {
		name  string
		begin func(t *testing.T, w *world)
	}{
		{"no stream ever", func(*testing.T, *world) {}},
		{"a stream that is over", func(t *testing.T, w *world) {
			s := echo(t, w)
			_ = s.CloseWrite()
			if _, err := io.ReadAll(s); err != nil {
				t.Fatal(err)
			}
			_ = s.Close()
		}},
		{"a handler that reads", func(t *testing.T, w *world) { echo(t, w) }},
		{"a protocol that is not agreed yet", func(t *testing.T, w *world) { w.a.open("/echo") }},
		{"a handler that waits to write", func(t *testing.T, w *world) {
			// More than the remote's window takes, and nobody reads it there.
			s := w.a.open("/echo")
			if _, err := s.Write(make([]byte, 600<<10)); err != nil {
				t.Fatal(err)
			}
			_ = s.CloseWrite()
		}},
	} {
		both(t, func(t *testing.T, k kind) {
			for _, e := range echoes {
				t.Run(c.name+", "+e.name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						w := newWorld(t, k, setup{})
						w.b.handle("/echo", e.h)
						c.begin(t, w)
						synctest.Wait()
						before := time.Now()
						w.a.close(0)
						w.within("the end, where it was closed", w.a.gone)
						w.within("the end, at the other side", w.b.gone)
						if d := time.Since(before); d != 0 {
							t.Errorf("it took %v", d)
						}
						w.once.Do(w.check)
					})
				})
			}
		})
	}
}

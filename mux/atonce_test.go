package mux_test

import (
	"errors"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-p2p/troupe/stream"
	"github.com/troupe-p2p/troupe/testkit/muxtest"
)

// TestAConnectionWithoutStuckHandlersEndsAtOnce: in virtual time, which stands still unless
// somebody waits for a timer. Only a handler that does not take the news may make the end wait,
// or a peer that comes and goes quickly would meet the limits with connections that are over.
func TestAConnectionWithoutStuckHandlersEndsAtOnce(t *testing.T) {
	echo := func(t *testing.T, w *muxtest.World) *stream.Blocking {
		s := w.A.Open("/echo")
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
		begin func(t *testing.T, w *muxtest.World)
	}{
		{"no stream ever", func(*testing.T, *muxtest.World) {}},
		{"a stream that is over", func(t *testing.T, w *muxtest.World) {
			s := echo(t, w)
			_ = s.CloseWrite()
			if _, err := io.ReadAll(s); err != nil {
				t.Fatal(err)
			}
			_ = s.Close()
		}},
		{"a handler that reads", func(t *testing.T, w *muxtest.World) { echo(t, w) }},
		{"a protocol that is not agreed yet", func(t *testing.T, w *muxtest.World) { w.A.Open("/echo") }},
		{"a handler that waits to write", func(t *testing.T, w *muxtest.World) {
			// More than the remote's window takes, and nobody reads it there.
			// Whether all of it is taken depends on how far the windows have grown.
			s := w.A.Open("/echo")
			_ = s.SetWriteDeadline(time.Now().Add(time.Second))
			if _, err := s.Write(make([]byte, 600<<10)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(err)
			}
			_ = s.CloseWrite()
		}},
	} {
		both(t, func(t *testing.T, k muxtest.Subject) {
			for _, e := range muxtest.Echoes {
				t.Run(c.name+", "+e.Name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						w := muxtest.NewWorld(t, k, muxtest.Setup{})
						w.B.Handle("/echo", e.Handler)
						c.begin(t, w)
						synctest.Wait()
						before := time.Now()
						w.A.Close(0)
						w.Within("the end, where it was closed", w.A.Gone)
						w.Within("the end, at the other side", w.B.Gone)
						if d := time.Since(before); d != 0 {
							t.Errorf("it took %v", d)
						}
						w.End()
					})
				})
			}
		})
	}
}

package troupe_test

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/protocols/echo"
)

// TestRedialsOfOnePeerAreNeverRefused: a connection that is over gives its place back before the
// peer has dialled again a few times, also when its handler had an answer that nobody has read.
func TestRedialsOfOnePeerAreNeverRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		use  func(t *testing.T, from, to *troupe.System)
	}{
		{"after an echo", func(t *testing.T, from, to *troupe.System) {
			if err := echoes(bounded(t), from, to, "round"); err != nil {
				t.Fatal(err)
			}
		}},
		{"in the middle of an echo", func(t *testing.T, from, to *troupe.System) {
			if err := roundTrip(open(t, from, to.ID(), echo.Protocol), "x"); err != nil {
				t.Fatal(err)
			}
		}},
		{"with an echo that nobody reads", func(t *testing.T, from, to *troupe.System) {
			// More than the remote's window and the output cap of the handler. Whether all of it
			// is taken depends on how far the windows have grown.
			s := open(t, from, to.ID(), echo.Protocol)
			_ = s.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
			if _, err := s.Write(make([]byte, 600<<10)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(err)
			}
			_ = s.CloseWrite()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := newNode(t), newNode(t)
			register(t, b, echo.Protocol, echo.Handler())
			ctx := bounded(t)
			events := b.Subscribe(ctx, 10_000)
			for range 100 {
				connect(t, a, b)
				c.use(t, a, b)
				a.Disconnect(b.ID())
			}
			for over := 0; over < 100; {
				e, _, err := events.Next(ctx)
				if err != nil {
					t.Fatalf("%d connections have ended: %v", over, err)
				}
				switch e.Kind {
				case troupe.EventRefused:
					t.Fatalf("refused: %v", e.Err)
				case troupe.EventDisconnected:
					over++
				default:
				}
			}
		})
	}
}

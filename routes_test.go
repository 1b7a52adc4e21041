package troupe_test

import (
	"testing"
	"time"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/protocols/echo"
	"github.com/troupe-p2p/troupe/testkit"
	"github.com/troupe-p2p/troupe/testkit/simnet"
)

// TestAnOpenBehindADisconnectIsNotGivenWhatIsEnding: the route to a peer goes before its connections
// do, and an open that meets a connection at its end asks for another one.
func TestAnOpenBehindADisconnectIsNotGivenWhatIsEnding(t *testing.T) {
	a, b := couple(t)
	register(t, b, echo.Protocol, echo.Handler())
	a.AddAddrs(b.ID(), time.Hour, b.ListenAddrs()...)
	for i := range 20 {
		for range 2 { // the second goes straight to the connection
			if err := echoes(bounded(t), a, b, "hello"); err != nil {
				t.Fatalf("round %d: %v", i, err)
			}
		}
		a.Disconnect(b.ID())
	}
}

// TestADisconnectIsNotUndoneByAnOpenUnderWay: the stream had begun on the connection that was ended,
// and so there is nothing to dial for.
func TestADisconnectIsNotUndoneByAnOpenUnderWay(t *testing.T) {
	for why, noDial := range map[string]bool{"an open that may dial": false, "one that may not": true} {
		t.Run(why, func(t *testing.T) {
			w := testkit.NewWorld(t, 1)
			w.SetLinks(simnet.Link{Latency: time.Second})
			a, b := w.Node("a", w.Serve), w.Node("b", w.Serve)
			a.Connect(b)
			w.Run(time.Minute) // identify is through
			var err error
			over := false
			w.Go("open", func() {
				ctx, cancel := a.Timeout(time.Minute)
				defer cancel()
				_, err = a.OpenWith(ctx, b.ID(), troupe.OpenOptions{Confirm: true, NoDial: noDial}, testkit.EchoProtocol)
				over = true
			})
			w.Run(time.Second) // the answer is on its way
			if over {
				t.Fatal("the open is over already:", err)
			}
			a.Disconnect(b.ID())
			w.Until("the end of the open", func() bool { return over }, time.Minute)
			if e := wantError(t, err, troupe.ErrConnectionClosed); e.Origin != troupe.OriginLocal {
				t.Error(e)
			}
			w.Run(time.Minute)
			if conns, err := a.Conns(t.Context()); err != nil || len(conns) > 0 {
				t.Errorf("%d connections, %v", len(conns), err)
			}
		})
	}
}

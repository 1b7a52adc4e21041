package troupe_test

import (
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/protocols/echo"
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

package mux_test

import (
	"testing"

	"github.com/troupe-p2p/troupe/mux"
	"github.com/troupe-p2p/troupe/testkit/muxtest"
)

// TestARefusedRemoteIsToldTheCode: a side that never has a session says why there is none.
func TestARefusedRemoteIsToldTheCode(t *testing.T) {
	both(t, func(t *testing.T, k muxtest.Subject) {
		w := muxtest.NewWorld(t, k, muxtest.Setup{Bare: true})
		mux.Refuse(w.A.Link, 0x1001, "too many")
		w.Within("the remote's session ends", w.B.Gone)
		if e := w.B.Ended(); e == nil || e.Code != 0x1001 || !e.Remote {
			t.Errorf("it ended with %+v", e)
		}
	})
}

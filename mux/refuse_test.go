package mux_test

import (
	"testing"

	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/mux"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// TestARefusedRemoteIsToldTheCode: a side that never has a session says why there is none.
func TestARefusedRemoteIsToldTheCode(t *testing.T) {
	both(t, func(t *testing.T, k kind) {
		w := newWorld(t, k, setup{bare: true})
		l := &messages.Link{Muxed: w.a.muxed}
		if w.a.raw != nil {
			l.Secured = conduit.Secured{Raw: w.a.raw, Open: &opener{}, Seal: sealer{}}
		}
		mux.Refuse(l, 0x1001, "too many")
		w.within("the remote's session ends", w.b.gone)
		if e := w.b.end(); e == nil || e.Code != 0x1001 || !e.Remote {
			t.Errorf("it ended with %+v", e)
		}
	})
}

package peers

import (
	"container/list"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/peers/dialplan"
)

// failures remembers the backoff of peers whose actors have gone because they had nothing to do.
type failures struct {
	byPeer map[identity.ID]*list.Element // of kept
	order  list.List                     // oldest first
	addrs  int                           // at most dialplan.MaxBackoff
}

type kept struct {
	peer identity.ID
	b    dialplan.Backoff
}

// keep takes a peer's backoff over.
func (f *failures) keep(peer identity.ID, b dialplan.Backoff) {
	f.take(peer)
	if b.Len() == 0 {
		return
	}
	if f.byPeer == nil {
		f.byPeer = map[identity.ID]*list.Element{}
	}
	f.byPeer[peer] = f.order.PushBack(&kept{peer, b})
	f.addrs += b.Len()
	for f.addrs > dialplan.MaxBackoff && f.order.Len() > 1 {
		f.take(f.order.Front().Value.(*kept).peer)
	}
}

// take gives it to the peer's next actor.
func (f *failures) take(peer identity.ID) dialplan.Backoff {
	e := f.byPeer[peer]
	if e == nil {
		return dialplan.Backoff{}
	}
	k := f.order.Remove(e).(*kept)
	delete(f.byPeer, peer)
	f.addrs -= k.b.Len()
	return k.b
}

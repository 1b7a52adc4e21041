package peers

import (
	"sync"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/messages"
)

// Routes says over which connection each peer is reached, for whoever wants a stream and nothing
// else: it need not wait for the turns of two actors then. The peers' actors write it, and it is a
// moment behind them. So a connection that it names may have ended; ask the peers then. It holds
// one entry for each peer that is connected. The zero Routes is ready.
type Routes struct{ m sync.Map } // identity.ID to actors.Ref[messages.Session]

// To is the connection to a peer.
func (r *Routes) To(peer identity.ID) (actors.Ref[messages.Session], bool) {
	ref, ok := r.m.Load(peer)
	if !ok {
		return actors.Ref[messages.Session]{}, false
	}
	return ref.(actors.Ref[messages.Session]), true
}

// Forget is for whoever is about to end the connections to a peer: a stream that is opened after
// it is not to be given one of them.
func (r *Routes) Forget(peer identity.ID) { r.m.Delete(peer) }

func (r *Routes) set(peer identity.ID, to actors.Ref[messages.Session]) { r.m.Store(peer, to) }

// publish keeps the route what the set finds best.
func (p *peer) publish() {
	best, _ := p.set.Best(false) // connections count from 1
	if p.over {
		best = 0
	}
	if best == p.route {
		return
	}
	p.route = best
	if c := p.ledger.conns.get(best); c != nil {
		p.cfg.Routes.set(p.id, c.ref)
	} else {
		p.cfg.Routes.Forget(p.id)
	}
}

package peers

import (
	"fmt"
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/peers/limits"
)

// maxWanted is how many attempts may wait for others to end. It stops a program, or a routing
// protocol that remotes feed, which asks for ever more peers.
const maxWanted = 1 << 14

// ErrWanted refuses an attempt because too many wait already.
var ErrWanted = fmt.Errorf("limit: %d attempts to dial wait for others to end (Limits.HalfOpenOut)", maxWanted)

// permits lets as many attempts run at a time as Limits.HalfOpenOut says; the others wait their
// turn. It belongs to peers.
type permits struct {
	account *limits.Account
	waiting []*permit // first come, first served; those that are over are passed over
}

// permit is one attempt's.
type permit struct {
	peer  identity.ID
	token limits.Token
	over  bool
	// begin is called once, unless the attempt is over before: with an error it must not
	// begin.
	begin func(actor.Context, error)
}

// want calls pm.begin, now or later.
func (p *permits) want(ctx actor.Context, pm *permit) {
	if len(p.waiting) >= maxWanted {
		p.waiting = slices.DeleteFunc(p.waiting, func(o *permit) bool { return o.over })
	}
	if len(p.waiting) >= maxWanted {
		pm.over = true
		pm.begin(ctx, ErrWanted)
		return
	}
	p.waiting = append(p.waiting, pm)
	p.serve(ctx)
}

// end says that the attempt is over, or not wanted any more.
func (p *permits) end(ctx actor.Context, pm *permit) {
	if pm == nil || pm.over {
		return
	}
	pm.over = true
	if pm.token != (limits.Token{}) {
		p.account.Release(pm.token)
		p.serve(ctx)
	}
}

func (p *permits) serve(ctx actor.Context) {
	for len(p.waiting) > 0 {
		pm := p.waiting[0]
		var err error
		if !pm.over {
			pm.token, err = p.account.Dial(pm.peer)
			if err != nil && p.account.Limits().HalfOpenOut > 0 {
				return // until another one ends
			}
		}
		p.waiting[0] = nil
		if p.waiting = p.waiting[1:]; len(p.waiting) == 0 {
			p.waiting = nil
		}
		if !pm.over {
			pm.over = err != nil
			pm.begin(ctx, err) // may end other permits, and so come back here
		}
	}
}

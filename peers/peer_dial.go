package peers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/addrs"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/peers/dialplan"
	"github.com/troupe-p2p/troupe/stream"

	ma "github.com/multiformats/go-multiaddr"
)

// dialing is a dial under way. However many wait for a connection, there is one.
type dialing struct {
	id       uint64
	d        *dialplan.Dial
	explicit bool // somebody asked for the dial itself: no backoff
	pending  int  // sources of addresses that have not answered
	attempts map[int]actors.Ref[any]
	linking  map[*messages.Link]int
}

// maxNames is how many addresses with DNS names one dial resolves. Attack: a record full of names
// that makes this node ask for each.
const maxNames = 8

var errConnected = errors.New("local: a connection came about in another way")

// attemptID names attempt n of a dial in messages: a late answer to an earlier dial must not
// count.
func (p *dialing) attemptID(n int) uint64 { return p.id<<16 | uint64(n) }

// wantConn answers with a connection, dialling for one if there is none.
func (p *peer) wantConn(ctx actor.Context, m *dialOn) {
	if m.m.Reply.Gone() {
		return
	}
	if id, ok := p.set.Best(false); ok && !m.linked {
		m.m.Reply.Answer(p.conns[id].info)
		return
	}
	p.dials = append(p.dials, m.m.Reply)
	if !m.linked {
		p.dial(ctx, m.m.Addrs, true)
	}
}

// dial starts a dial, or adds addresses to the one under way.
func (p *peer) dial(ctx actor.Context, given []ma.Multiaddr, explicit bool) {
	now := p.rt.Now()
	if p.plan == nil {
		p.dialed++
		p.plan = &dialing{
			id: p.dialed, explicit: explicit, pending: 1,
			attempts: map[int]actors.Ref[any]{}, linking: map[*messages.Link]int{},
		}
		p.plan.d = dialplan.NewDial(dialplan.Config{Each: p.cfg.DialTimeout}, now, p.id, nil, nil, true)
		self, id := p.self, p.plan.id
		r := actors.NewReply(p.cfg.Book, func(as []ma.Multiaddr, err error) {
			_ = self.Control(&found{dial: id, addrs: as, err: err})
		})
		_ = p.cfg.Book.Control(&messages.Lookup{Peer: p.id, Reply: r})
	}
	p.plan.explicit = p.plan.explicit || explicit
	p.add(ctx, given)
}

// add gives the dial what is known now; names go to the resolver first.
func (p *peer) add(ctx actor.Context, as []ma.Multiaddr) {
	var plain, names []ma.Multiaddr
	for _, a := range as {
		if addrs.HasDNS(a) && len(names) < maxNames {
			names = append(names, p.withID(a))
		} else {
			plain = append(plain, a)
		}
	}
	if len(names) > 0 && p.cfg.Resolve != nil {
		p.plan.pending++
		id, resolve := p.plan.id, p.cfg.Resolve
		actors.StartTask(ctx, "resolve", func(ctx context.Context) any {
			out := &resolved{dial: id}
			for _, a := range names {
				got, err := resolve(ctx, a)
				if err != nil {
					out.skipped = append(out.skipped, dialplan.Skipped{Addr: a, Err: err})
				}
				out.addrs = append(out.addrs, got...)
			}
			return out
		}, func(e *actors.PanicError) any {
			return &resolved{dial: id, skipped: []dialplan.Skipped{{Addr: names[0], Err: e}}}
		})
	}
	p.rank(plain, nil)
}

// withID puts the peer's ID behind a name that may stand for many peers.
func (p *peer) withID(a ma.Multiaddr) ma.Multiaddr {
	if _, id, err := addrs.SplitPeer(a); err != nil || id != "" {
		return a
	}
	return addrs.WithPeer(a, p.id)
}

func (p *peer) rank(as []ma.Multiaddr, skipped []dialplan.Skipped) {
	now := p.rt.Now()
	in := dialplan.Input{
		Self: p.cfg.Self, Peer: p.id, Addrs: as, Own: p.cfg.Own(),
		CanDial: func(a ma.Multiaddr) bool { return p.cfg.CanDial(a) == nil },
	}
	if !p.plan.explicit {
		in.Backoff = &p.backoff
	}
	plan, not := dialplan.Rank(now, in)
	p.plan.d.Add(now, plan, append(skipped, not...), p.plan.pending > 0)
}

func (p *peer) found(ctx actor.Context, m *found) {
	if p.plan == nil || p.plan.id != m.dial {
		return
	}
	p.plan.pending--
	p.add(ctx, m.addrs)
}

func (p *peer) resolved(_ actor.Context, m *resolved) {
	if p.plan == nil || p.plan.id != m.dial {
		return
	}
	p.plan.pending--
	p.rank(m.addrs, m.skipped)
}

// drainDial does what the dial asks for.
func (p *peer) drainDial(ctx actor.Context) {
	for p.plan != nil {
		e, ok := p.plan.d.Next()
		if !ok {
			return
		}
		switch e := e.(type) {
		case dialplan.Start:
			p.startAttempt(ctx, e)
		case dialplan.Stop:
			if ref, ok := p.plan.attempts[e.N]; ok {
				delete(p.plan.attempts, e.N)
				ref.Stop()
			}
		case dialplan.Ended:
			p.dialEnded(e.Err)
		}
	}
}

func (p *peer) startAttempt(ctx actor.Context, e dialplan.Start) {
	ref, err := actors.Spawn[any](ctx, p.cfg.Dial(DialJob{
		Attempt: p.plan.attemptID(e.N), Addr: e.Addr, Expect: p.id, Timeout: e.Timeout, Owner: p.self,
	}))
	if err != nil {
		p.plan.d.HandleFailed(p.rt.Now(), e.N, err)
		return
	}
	p.plan.attempts[e.N] = ref
}

// dialled takes the outcome of one attempt; a link goes through peers, which admits it.
func (p *peer) dialled(m *messages.Dialled) {
	if p.plan == nil || m.Attempt>>16 != p.plan.id {
		m.Discard(errConnected)
		return
	}
	n := int(m.Attempt & 0xffff)
	delete(p.plan.attempts, n)
	if m.Err != nil {
		p.attemptFailed(n, m.Err)
		return
	}
	p.plan.linking[m.Link] = n
	_ = p.parent.Control(&messages.Arrived{Link: m.Link})
}

func (p *peer) attemptFailed(n int, err error) {
	now := p.rt.Now()
	if a := p.plan.d.Addr(n); a != nil {
		p.backoff.Failed(now, p.rt.Rand(), p.id, a, err)
	}
	p.plan.d.HandleFailed(now, n, err)
}

// linked: a link of ours has become a connection, or any other way led to one.
func (p *peer) linked(l *messages.Link, c *stream.Conn) {
	p.backoff.Worked(p.id)
	for _, r := range p.dials {
		r.Answer(c)
	}
	p.dials = nil
	if p.plan == nil {
		return
	}
	if n, ok := p.plan.linking[l]; ok {
		p.plan.d.HandleWon(p.rt.Now(), n)
		return
	}
	p.plan.d.Cancel(errConnected)
}

func (p *peer) linkFailed(l *messages.Link, err error) {
	if p.plan != nil {
		if n, ok := p.plan.linking[l]; ok {
			delete(p.plan.linking, l)
			p.plan.d.HandleFailed(p.rt.Now(), n, err)
			return
		}
	}
	if p.plan == nil && p.set.Len() == 0 {
		p.failDials(err)
	}
}

func (p *peer) dialEnded(err error) {
	for _, ref := range p.plan.attempts { // order-free: all are stopped
		ref.Stop()
	}
	p.plan = nil
	if err == nil || errors.Is(err, errConnected) {
		return
	}
	p.last = err
	p.set.Fail(err)
	p.failDials(err)
}

func (p *peer) failDials(err error) {
	for _, r := range p.dials {
		r.Fail(err)
	}
	p.dials = nil
}

func (p *peer) stopDial(err error) {
	if p.plan != nil {
		p.plan.d.Cancel(err)
		p.dialEnded(err)
	}
}

func (p *peer) dialTimeout(now time.Time) {
	if p.plan != nil {
		p.plan.d.HandleTimeout(now)
	}
}

// lastFailure is for the tree.
func (p *peer) lastFailure() string {
	if p.last == nil {
		return ""
	}
	return fmt.Sprint(p.last)
}

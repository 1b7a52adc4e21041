package peers

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/addrs"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/peers/connset"
	"github.com/troupe-p2p/troupe/peers/dialplan"
	"github.com/troupe-p2p/troupe/peers/story"
	"github.com/troupe-p2p/troupe/stream"

	ma "github.com/multiformats/go-multiaddr"
)

// dialing is a dial under way. However many wait for a connection, there is one.
type dialing struct {
	id       uint64
	d        *dialplan.Dial
	explicit bool // somebody asked for the dial itself: no backoff
	reached  bool // the peer was reached in another way
	pending  int  // sources of addresses that have not answered
	linking  map[*messages.Link]int
	names    []*actors.Task
}

// attempt is one attempt of a dial. It outlives the dial until its outcome has come.
type attempt struct {
	job  DialJob
	dial uint64
	n    int             // in its dial
	at   time.Time       // when it began; zero: it waits for its permit
	ref  actors.Ref[any] // zero: it waits for its permit
	lost time.Duration   // after that time another one had won; 0: none has
	// stopped: nobody wants what comes of it.
	stopped bool
}

// maxNames is how many addresses with DNS names one dial resolves. Attack: a record full of names
// that makes this node ask for each.
const maxNames = 8

var (
	errConnected = errors.New("local: a connection came about in another way")
	errUnwanted  = errors.New("local: nobody waits for the connection any more")
	// ErrHungUp answers those who wait for a connection with a peer that is disconnected.
	ErrHungUp = errors.New("local: the peer was hung up on")
)

// attemptID names attempt n of a dial in messages.
func (p *dialing) attemptID(n int) uint64 { return p.id<<16 | uint64(n) }

// wantConn answers with a connection, dialling for one if there is none.
func (p *peer) wantConn(ctx actor.Context, m *dialOn) {
	if m.m.Reply.Gone() {
		return
	}
	if id, ok := p.set.Best(false); ok && m.link == nil {
		m.m.Reply.Answer(p.ledger.conns.get(id).info)
		return
	}
	if len(p.calls) >= maxDials {
		m.m.Reply.Fail(connset.ErrWaiting)
		return
	}
	p.req++
	p.calls = append(p.calls, call{p.req, m.m.Reply, m.m.Deadline, m.link})
	p.dueAt(m.m.Deadline)
	m.m.Reply.OnGivenUp(p.tellUnwanted(p.req))
	if m.link == nil {
		p.dial(ctx, m.m.Addrs, true)
	}
}

// dial starts a dial, or adds addresses to the one under way.
func (p *peer) dial(ctx actor.Context, given []ma.Multiaddr, explicit bool) {
	switch {
	case p.plan == nil:
		p.ledger.dials++
		p.plan = &dialing{id: p.ledger.dials, explicit: explicit, linking: map[*messages.Link]int{}}
		p.plan.d = dialplan.NewDial(dialplan.Config{Each: p.cfg.DialTimeout}, p.rt.Now(), p.id, nil, nil, true)
		p.lookup()
	case explicit && !p.plan.explicit:
		p.plan.explicit = true
		p.lookup() // for those that were left out because they had failed a short time ago
	}
	p.add(ctx, given)
}

// lookup asks the peerstore.
func (p *peer) lookup() {
	p.plan.pending++
	self, id := p.self, p.plan.id
	r := actors.NewReply(p.cfg.Book, func(as []ma.Multiaddr, err error) {
		_ = self.Control(&found{dial: id, addrs: as, err: err})
	})
	_ = p.cfg.Book.Control(&messages.Lookup{Peer: p.id, Reply: r})
}

// add gives the dial what is known now; names go to the resolver first.
func (p *peer) add(ctx actor.Context, as []ma.Multiaddr) {
	var plain, names []ma.Multiaddr
	var skipped []dialplan.Skipped
	for _, a := range as {
		switch {
		case p.cfg.Resolve == nil || !addrs.HasDNS(a):
			plain = append(plain, a)
		case len(names) < maxNames:
			names = append(names, p.withID(a))
		default:
			skipped = append(skipped, dialplan.Skipped{Addr: a, Err: dialplan.ErrTooMany})
		}
	}
	if len(names) > 0 {
		p.resolve(ctx, names)
	}
	p.rank(plain, skipped)
}

func (p *peer) resolve(ctx actor.Context, names []ma.Multiaddr) {
	p.plan.pending++
	id, resolve := p.plan.id, p.cfg.Resolve
	p.plan.names = append(p.plan.names, actors.StartTask(ctx, "resolve", func(ctx context.Context) any {
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
	}))
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
		in.Backoff = &p.ledger.backoff
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

func (p *peer) resolved(m *resolved) {
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
			p.startAttempt(e)
		case dialplan.Stop:
			p.stopAttempt(p.attempts[p.plan.attemptID(e.N)])
		case dialplan.Ended:
			p.dialEnded(e.Err)
		}
	}
}

// startAttempt asks for a permit; the attempt begins when it is granted.
func (p *peer) startAttempt(e dialplan.Start) {
	a := &attempt{dial: p.plan.id, n: e.N, job: DialJob{
		Attempt: p.plan.attemptID(e.N), Addr: e.Addr, Expect: p.id, Timeout: e.Timeout, Owner: p.self,
	}}
	put(&p.attempts, a.job.Attempt, a)
	if err := p.parent.Control(&dialWanted{peer: p.id, attempt: a.job.Attempt, addr: a.job.Addr}); err != nil {
		delete(p.attempts, a.job.Attempt) // peers has failed, and is about to restart this actor too
		p.plan.d.HandleFailed(p.rt.Now(), a.n, err)
	}
}

func (p *peer) granted(ctx actor.Context, m *granted) {
	a := p.attempts[m.attempt]
	if a == nil {
		return // it has been stopped since, and has said so
	}
	err := m.err
	var hole *dialplan.BlackHoleError
	if errors.As(err, &hole) {
		p.forget(a)
		p.plan.d.HandleSkipped(p.rt.Now(), a.n, err)
		return
	}
	if err == nil {
		a.at = p.rt.Now()
		a.ref, err = actors.Spawn[any](ctx, dialSpec(p.cfg, a.job))
	}
	if err != nil {
		p.forget(a)
		p.plan.d.HandleFailed(p.rt.Now(), a.n, err) // of this plan: what waits is stopped with its plan
	}
}

// stopAttempt ends an attempt of the plan. When the peer was reached in another way it may go on
// to its end: the other way may be the remote's own dial to us, and if both sides gave up their
// own one for the other's there would be nothing left.
func (p *peer) stopAttempt(a *attempt) {
	switch {
	case a == nil:
	case a.ref.IsZero():
		p.forget(a)
	case !p.plan.reached:
		a.stopped, a.lost = true, p.rt.Now().Sub(a.at)
		a.ref.Stop()
	}
}

// forget says that an attempt is over.
func (p *peer) forget(a *attempt) {
	delete(p.attempts, a.job.Attempt)
	_ = p.parent.Control(&dialOver{peer: p.id, attempt: a.job.Attempt})
}

// settle says that an attempt is over which says something of the way to its address: m is its outcome.
func (p *peer) settle(a *attempt, m *messages.Dialled) {
	over := &dialOver{peer: p.id, attempt: a.job.Attempt, addr: a.job.Addr, took: p.rt.Now().Sub(a.at)}
	var gated *messages.GatedError
	var bug *actors.PanicError
	switch {
	case m.Answer == messages.Answered || m.Err == nil:
		over.outcome = dialplan.Answered
	case a.lost > 0:
		over.outcome, over.took = dialplan.Lost, a.lost
	case m.Answer == messages.NotAsked, a.stopped, errors.Is(m.Err, actors.ErrStopped), errors.As(m.Err, &gated), errors.As(m.Err, &bug):
		over.addr = nil
	default:
		over.outcome = dialplan.Failed
	}
	delete(p.attempts, a.job.Attempt)
	_ = p.parent.Control(over)
}

// dialled takes the outcome of one attempt; a link goes through peers, which admits it.
func (p *peer) dialled(m *messages.Dialled) {
	a := p.attempts[m.Attempt]
	if a == nil || a.stopped {
		m.Discard(errConnected)
		if a != nil {
			p.settle(a, m)
		}
		return
	}
	p.settle(a, m)
	current := p.plan != nil && p.plan.id == a.dial
	if m.Err != nil {
		if current {
			p.attemptFailed(a, m.Err)
		}
		return
	}
	if current {
		p.plan.linking[m.Link] = a.n
	} else {
		put(&p.coming, m.Link, struct{}{})
	}
	if err := p.parent.Control(&messages.Arrived{Link: m.Link}); err != nil {
		p.linkFailed(m.Link, err) // peers has failed, and is about to restart this actor too
	}
}

func (p *peer) attemptFailed(a *attempt, err error) {
	now := p.rt.Now()
	var gated *messages.GatedError
	if errors.As(err, &gated) && gated.Hook == messages.HookDial {
		p.plan.d.HandleSkipped(now, a.n, err) // nothing was sent, and the hook may say otherwise next time
		return
	}
	p.ledger.backoff.Failed(now, p.rt.Rand(), p.id, a.job.Addr, err)
	p.plan.d.HandleFailed(now, a.n, err)
}

// linked: a link of ours has become a connection, or any other way led to one.
func (p *peer) linked(l *messages.Link, c *stream.Conn) {
	p.ledger.backoff.Worked(p.id)
	p.last = nil
	for _, w := range p.calls {
		w.reply.Answer(c)
	}
	p.calls = nil
	if p.plan == nil {
		return
	}
	n, ours := p.plan.linking[l]
	delete(p.plan.linking, l)
	if ours {
		p.unlink()
		p.plan.d.HandleWon(p.rt.Now(), n)
		return
	}
	p.plan.reached = true
	p.plan.d.Cancel(errConnected)
}

// unlink makes the links that are on their way unwelcome.
func (p *peer) unlink() {
	for l := range p.plan.linking { // order-free: from one set into another
		put(&p.extra, l, struct{}{})
	}
	clear(p.plan.linking)
}

// linkFailed: a link does not become a connection.
func (p *peer) linkFailed(l *messages.Link, err error) {
	delete(p.extra, l)
	delete(p.coming, l)
	if p.plan != nil {
		if n, ok := p.plan.linking[l]; ok {
			delete(p.plan.linking, l)
			p.plan.d.HandleFailed(p.rt.Now(), n, err)
		}
	}
	p.calls = slices.DeleteFunc(p.calls, func(w call) bool {
		if w.link == nil || w.link != l {
			return false
		}
		if id, ok := p.set.Best(false); ok {
			w.reply.Answer(p.ledger.conns.get(id).info) // that peer answers, and there is one already
		} else {
			w.reply.Fail(err)
		}
		return true
	})
}

func (p *peer) dialEnded(err error) {
	for _, t := range p.plan.names {
		t.Cancel()
	}
	p.cfg.Stories.add(p.id, story.Happening{At: p.rt.Now(), What: Dialled, Err: shortly(err), Tried: p.plan.d.Report()})
	lost := err != nil && !errors.Is(err, errConnected)
	if lost {
		p.unlink()
	}
	for l := range p.plan.linking { // order-free: from one set into another
		put(&p.coming, l, struct{}{})
	}
	p.plan = nil
	if !lost {
		return
	}
	p.last = err
	p.set.Fail(err)
	p.calls = slices.DeleteFunc(p.calls, func(w call) bool {
		if w.link == nil {
			w.reply.Fail(err)
		}
		return w.link == nil
	})
}

// shortly is why a dial has failed, without what its report says anyway.
func shortly(err error) error {
	var all *dialplan.Error
	switch {
	case err == nil, errors.Is(err, errConnected):
		return nil
	case errors.As(err, &all):
		if all.Cause == nil {
			return errAllFailed
		}
		return all.Cause
	}
	return err
}

// stopDial ends the dial and every attempt at once, those of earlier dials too.
func (p *peer) stopDial(err error) {
	if p.plan != nil {
		p.plan.reached = false
		p.plan.d.Cancel(err)
		p.dialEnded(err)
	}
	for l := range p.coming { // order-free: from one set into another
		put(&p.extra, l, struct{}{})
	}
	clear(p.coming)
	for _, n := range slices.Sorted(maps.Keys(p.attempts)) { // order-free: sorted
		if a := p.attempts[n]; a.ref.IsZero() {
			p.forget(a)
		} else {
			a.stopped = true
			a.ref.Stop()
		}
	}
}

func (p *peer) dialTimeout(now time.Time) {
	if p.plan != nil {
		p.plan.d.HandleTimeout(now)
	}
}

package peers

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/peers/connset"
	"github.com/troupe-p2p/troupe/stream"
)

// anonymousDial is a dial to an address, whoever answers there.
type anonymousDial struct {
	reply    actors.Reply[*stream.Conn]
	deadline time.Time
	job      DialJob
	permit   *permit
	ref      actors.Ref[any]
}

func (p *peers) dialAnonymous(ctx actor.Context, m *messages.Dial) {
	if err := p.cfg.CanDial(m.Addrs[0]); err != nil {
		m.Reply.Fail(err)
		return
	}
	p.cfg.State.dials++
	n := p.cfg.State.dials
	a := &anonymousDial{reply: m.Reply, deadline: m.Deadline, job: DialJob{
		Attempt: n, Addr: m.Addrs[0], Timeout: p.cfg.DialTimeout, Owner: actors.Cast[messages.Peer](p.self),
	}}
	p.anonymous[n] = a
	a.permit = &permit{begin: func(ctx actor.Context, err error) {
		if err == nil {
			a.ref, err = actors.Spawn[any](ctx, dialSpec(&p.cfg, a.job))
		}
		if err != nil {
			p.anonymousEnded(ctx, n, err)
		}
	}}
	self := p.self
	m.Reply.OnGivenUp(func() { _ = self.Control(&unwanted{req: n}) })
	p.armDeadline(a.deadline)
	p.permits.want(ctx, a.permit)
}

// dialSpec names an attempt by its number.
func dialSpec(cfg *Config, job DialJob) (s actors.Spec) {
	s = cfg.Dial(job)
	s.Name = dialName + strconv.FormatUint(job.Attempt, 10)
	return s
}

const dialName = "dial-"

// dialNumber is the attempt of the actor with that name.
func dialNumber(name string) (uint64, bool) {
	n, ok := strings.CutPrefix(name, dialName)
	if !ok {
		return 0, false
	}
	attempt, err := strconv.ParseUint(n, 10, 64)
	return attempt, err == nil
}

// anonymousEnded answers with an error. It returns what the dial was, nil if it was over before.
func (p *peers) anonymousEnded(ctx actor.Context, n uint64, err error) {
	a := p.anonymous[n]
	if a == nil {
		return
	}
	delete(p.anonymous, n)
	p.permits.end(ctx, a.permit)
	a.ref.Stop()
	a.reply.Fail(err)
}

func (p *peers) anonymousDialled(ctx actor.Context, m *messages.Dialled) {
	a := p.anonymous[m.Attempt]
	switch {
	case a == nil:
		m.Discard(actors.ErrStopped)
		return
	case m.Err != nil:
		p.anonymousEnded(ctx, m.Attempt, fmt.Errorf("dialling %s: %w", a.job.Addr, m.Err))
		return
	}
	delete(p.anonymous, m.Attempt)
	p.permits.end(ctx, a.permit)
	if a.reply.Gone() {
		m.Link.Close()
		return
	}
	r := p.want(ctx, m.Link.Peer, a.reply.Fail)
	if r == nil {
		m.Link.Close()
		return
	}
	// It comes before what becomes of the link, which answers it.
	actors.MoveTo(a.reply, r.ref)
	p.give(r, &dialOn{m: &messages.Dial{Peer: m.Link.Peer, Deadline: a.deadline, Reply: a.reply}, link: m.Link})
	p.arrived(ctx, m.Link)
}

// anonymousUnwanted ends a dial that nobody waits for any more.
func (p *peers) anonymousUnwanted(ctx actor.Context, n uint64) {
	if a := p.anonymous[n]; a != nil && a.reply.Gone() {
		p.anonymousEnded(ctx, n, errUnwanted)
	}
}

// anonymousLate ends the dials whose time is over.
func (p *peers) anonymousLate(ctx actor.Context) {
	now := actors.RuntimeOf(ctx).Now()
	var late []uint64
	for n, a := range p.anonymous { // order-free: sorted below
		if !a.deadline.IsZero() && !now.Before(a.deadline) {
			late = append(late, n)
		}
	}
	slices.Sort(late)
	for _, n := range late {
		p.anonymousEnded(ctx, n, connset.ErrNoConnection)
	}
	p.due = time.Time{}
	for _, a := range p.anonymous { // order-free: the earliest counts
		p.armDeadline(a.deadline)
	}
}

// armDeadline has anonymousLate called no later than at.
func (p *peers) armDeadline(at time.Time) {
	if !at.IsZero() && (p.due.IsZero() || at.Before(p.due)) {
		p.due = at
		p.timer.Set(at)
	}
}

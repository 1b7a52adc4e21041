package testkit

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
)

// probeLimit is how long a Probe waits for what must come, in the runtime's time.
const probeLimit = 30 * time.Second

// Probe is an actor that records what it is told: a stand-in for a neighbour of the actor under
// test. It works in live and in simulated runtimes, where its waits let virtual time pass.
type Probe[M any] struct {
	t    testing.TB
	rt   *actors.Runtime
	ref  actors.Ref[M]
	feed *actors.Feed[M]

	mu  sync.Mutex
	all []M
}

// NewProbe starts a probe for messages of type M. It ends with the test.
func NewProbe[M any](t testing.TB, rt *actors.Runtime, name string) *Probe[M] {
	t.Helper()
	p := &Probe[M]{t: t, rt: rt, feed: actors.NewFeed[M](rt, 1<<16)}
	ref, err := actors.Root[M](rt, actors.Spec{Name: name, Kind: "probe", New: func() actor.Actor { return p }})
	if err != nil {
		t.Fatalf("probe %s: %v", name, err)
	}
	p.ref = ref
	t.Cleanup(ref.Stop)
	return p
}

// Receive implements actor.Actor.
func (p *Probe[M]) Receive(ctx actor.Context) {
	m, ok := ctx.Message().(M)
	if !ok || isLifecycle(ctx.Message()) {
		return
	}
	p.mu.Lock()
	p.all = append(p.all, m)
	p.mu.Unlock()
	p.feed.Put(m)
}

// isLifecycle tells a probe for any message from one that would count its own birth.
func isLifecycle(m any) bool {
	switch m.(type) {
	case *actor.Started, *actor.Stopping, *actor.Stopped, *actor.Restarting, *actor.Terminated:
		return true
	}
	return false
}

// Ref is what the actor under test is given.
func (p *Probe[M]) Ref() actors.Ref[M] { return p.ref }

// All is everything that has come so far, also what was waited for.
func (p *Probe[M]) All() []M {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]M(nil), p.all...)
}

// Next waits for the next message and fails the test if none comes.
func (p *Probe[M]) Next(reason string) M {
	p.t.Helper()
	m, err := p.next(probeLimit)
	if err != nil {
		p.t.Fatalf("%s: %v%s", reason, err, p.sofar())
	}
	return m
}

// Want waits for the next message that matches, and fails the test if none does. Those before it
// are skipped; All has them.
func (p *Probe[M]) Want(reason string, matches func(M) bool) M {
	p.t.Helper()
	for end := p.rt.Now().Add(probeLimit); ; {
		m, err := p.next(end.Sub(p.rt.Now()))
		if err != nil {
			p.t.Fatalf("%s: %v%s", reason, err, p.sofar())
		}
		if matches(m) {
			return m
		}
	}
}

// WantIdle fails the test if a message comes within d.
func (p *Probe[M]) WantIdle(reason string, d time.Duration) {
	p.t.Helper()
	if m, err := p.next(d); err == nil {
		p.t.Fatalf("%s: but %T came: %+v", reason, m, m)
	}
}

func (p *Probe[M]) next(limit time.Duration) (M, error) {
	ctx, cancel := p.rt.WithTimeout(context.Background(), limit)
	defer cancel()
	m, _, err := p.feed.Next(ctx)
	if err != nil {
		err = fmt.Errorf("nothing came within %v", limit)
	}
	return m, err
}

func (p *Probe[M]) sofar() (text string) {
	all := p.All()
	for _, m := range all[max(0, len(all)-20):] {
		text += fmt.Sprintf("\n\tbefore it: %T %+v", m, m)
	}
	return text
}

package transports

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

// listenerMsg is what a listener's actor receives.
type listenerMsg interface{ listener() }

type (
	bind struct{ listenerMsg }
	lost struct {
		listenerMsg
		from *acceptSink
		err  error
	}
	degraded struct {
		listenerMsg
		from *acceptSink
		err  error
	}
	recovered struct {
		listenerMsg
		from *acceptSink
	}
	moved struct {
		listenerMsg
		from *acceptSink
		addr ma.Multiaddr
	}
)

const (
	rebindMin = 50 * time.Millisecond
	rebindMax = 5 * time.Second
)

// place is where a listener is to be. It belongs to the listener's actor and outlives its
// failures.
type place struct {
	want  ma.Multiaddr
	bound ma.Multiaddr // last bound: to be bound again, so that peers find the node
	tried bool
}

var errFirst = errors.New("local: the listener failed while it bound the address for the first time")

// listener owns one bound address. Binding and closing return at once; accepting happens in the
// adapter, which hands connections straight to the gate.
type listener struct {
	transport conduit.Transport
	place     *place
	owner     actors.Ref[messages.Listeners]
	gate      actors.Ref[messages.Gate]
	admit     func(conduit.Endpoints) (messages.Lease, bool)
	hub       *actors.Hub[messages.Event]

	self  actors.Ref[listenerMsg]
	l     conduit.Listener
	sink  *acceptSink
	kept  func() // cancels the end of l that comes if this actor is abandoned
	retry *actors.Timer
	wait  time.Duration
}

// Receive implements actor.Actor.
func (l *listener) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		l.self = actors.Self[listenerMsg](ctx)
		l.retry = actors.NewTimer(ctx, &bind{})
		actors.Publish(ctx, "want", l.place.want.String())
		l.bind(ctx)
	case *bind:
		l.bind(ctx)
	case *lost:
		if m.from == l.sink {
			l.down(ctx, m.err)
		}
	case *degraded:
		if m.from == l.sink {
			actors.Publish(ctx, "held back", m.err.Error())
			l.hub.Emit(messages.Event{
				Kind: messages.EventListenError, At: actors.RuntimeOf(ctx).Now(), Addrs: []ma.Multiaddr{l.place.bound}, Err: m.err,
			})
		}
	case *recovered:
		if m.from == l.sink {
			actors.Publish(ctx, "held back", "")
		}
	case *moved:
		if m.from == l.sink {
			l.bound(ctx, m.addr)
		}
	case *actor.Stopping, *actor.Restarting:
		l.close()
	}
}

func (l *listener) bind(ctx actor.Context) {
	l.close()
	want := l.place.want
	switch {
	case l.place.bound != nil:
		want = l.place.bound
	case l.place.tried:
		l.down(ctx, errFirst) // somebody waits for an answer
		return
	}
	l.place.tried = true
	sink := &acceptSink{self: l.self, gate: l.gate, admit: l.admit}
	got, err := l.transport.Listen(want, sink)
	if err != nil {
		l.down(ctx, err)
		return
	}
	l.l, l.sink, l.wait = got, sink, 0
	rt := actors.RuntimeOf(ctx)
	l.kept = actors.OnAbandoned(l.self, func() { // perhaps now: Listen may have taken long
		rt.Pump("close listener "+want.String(), func() { _ = got.Close() }, nil)
	})
	actors.Publish(ctx, "error", "")
	l.bound(ctx, got.Addr())
}

func (l *listener) bound(ctx actor.Context, at ma.Multiaddr) {
	l.place.bound = at
	actors.Publish(ctx, "bound", at.String())
	_ = l.owner.Control(&messages.Bound{Want: l.place.want, Addr: at})
}

func (l *listener) down(ctx actor.Context, err error) {
	l.close()
	actors.Publish(ctx, "bound", "")
	actors.Publish(ctx, "held back", "")
	actors.Publish(ctx, "error", err.Error())
	_ = l.owner.Control(&messages.Unbound{Want: l.place.want, Err: err})
	l.wait = min(max(2*l.wait, rebindMin), rebindMax)
	l.retry.After(l.wait)
}

func (l *listener) close() {
	if l.l != nil {
		l.kept()
		_ = l.l.Close()
		l.l, l.sink = nil, nil
	}
}

// acceptSink carries what the adapter accepts to the gate.
type acceptSink struct {
	self  actors.Ref[listenerMsg]
	gate  actors.Ref[messages.Gate]
	admit func(conduit.Endpoints) (messages.Lease, bool) // may be nil
	held  atomic.Bool                                    // accepting was held back, and nothing was accepted since
}

func (s *acceptSink) Accepted(c conduit.Conduit) {
	if s.held.Load() && s.held.CompareAndSwap(true, false) {
		_ = s.self.Control(&recovered{from: s})
	}
	var lease messages.Lease
	if s.admit != nil {
		var ok bool
		if lease, ok = s.admit(c.Endpoints()); !ok {
			c.Abandon()
			return
		}
	}
	_ = s.gate.Send(&messages.Accepted{Conduit: c, Lease: lease})
}

// Moved implements conduit.MovingSink.
func (s *acceptSink) Moved(a ma.Multiaddr) { _ = s.self.Control(&moved{from: s, addr: a}) }

func (s *acceptSink) Failed(err error) { _ = s.self.Control(&lost{from: s, err: err}) }

// Degraded: established connections go on, and so does the listener by itself.
func (s *acceptSink) Degraded(err error) {
	s.held.Store(true)
	_ = s.self.Control(&degraded{from: s, err: err})
}

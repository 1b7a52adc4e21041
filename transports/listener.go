package transports

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// listenerMsg is what a listener's actor receives.
type listenerMsg interface{ listener() }

type (
	bind struct{ listenerMsg }
	lost struct {
		listenerMsg
		from conduit.AcceptSink
		err  error
	}
)

const (
	rebindMin = 50 * time.Millisecond
	rebindMax = 5 * time.Second
)

// listener owns one bound address. Binding and closing return at once; accepting happens in the
// adapter, which hands connections straight to the gate.
type listener struct {
	transport conduit.Transport
	slot      *slot
	owner     actors.Ref[messages.Listeners]
	gate      actors.Ref[messages.Gate]

	self  actors.Ref[listenerMsg]
	l     conduit.Listener
	sink  *acceptSink
	retry *actors.Timer
	wait  time.Duration
}

// Receive implements actor.Actor.
func (l *listener) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		l.self = actors.Self[listenerMsg](ctx)
		l.retry = actors.NewTimer(ctx, &bind{})
		actors.Publish(ctx, "want", l.slot.want.String())
		l.bind(ctx)
	case *bind:
		l.bind(ctx)
	case *lost:
		if m.from == l.sink {
			l.down(ctx, m.err)
		}
	case *actor.Stopping, *actor.Restarting:
		l.close()
	}
}

// bind asks for the port that was bound before, so that peers find the node again.
func (l *listener) bind(ctx actor.Context) {
	l.close()
	want := l.slot.want
	if l.slot.bound != nil {
		want = l.slot.bound
	}
	sink := &acceptSink{self: l.self, gate: l.gate}
	got, err := l.transport.Listen(want, sink)
	if err != nil {
		l.down(ctx, err)
		return
	}
	l.l, l.sink, l.wait = got, sink, 0
	actors.Publish(ctx, "bound", got.Addr().String())
	actors.Publish(ctx, "error", "")
	_ = l.owner.Control(&messages.Bound{Want: l.slot.want, Addr: got.Addr()})
}

func (l *listener) down(ctx actor.Context, err error) {
	l.close()
	actors.Publish(ctx, "bound", "")
	actors.Publish(ctx, "error", err.Error())
	_ = l.owner.Control(&messages.Unbound{Want: l.slot.want, Err: err})
	l.wait = min(max(2*l.wait, rebindMin), rebindMax)
	l.retry.After(l.wait)
}

func (l *listener) close() {
	if l.l != nil {
		_ = l.l.Close()
		l.l, l.sink = nil, nil
	}
}

// acceptSink carries what the adapter accepts to the gate.
type acceptSink struct {
	self actors.Ref[listenerMsg]
	gate actors.Ref[messages.Gate]
}

func (s *acceptSink) Accepted(c conduit.Conduit) { _ = s.gate.Send(&messages.Accepted{Conduit: c}) }
func (s *acceptSink) Failed(err error)           { _ = s.self.Control(&lost{from: s, err: err}) }

// Degraded is shown by the adapter's next success or failure; established connections go on.
func (s *acceptSink) Degraded(error) {}

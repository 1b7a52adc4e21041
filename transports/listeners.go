package transports

import (
	"fmt"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

// ListenersConfig of a node.
type ListenersConfig struct {
	Transports []conduit.Transport
	Gate       actors.Ref[messages.Gate]
	Identify   actors.Ref[messages.Identify]
	Hub        *actors.Hub[messages.Event]
	// Admit books an inbound connection before anybody else sees it; false: it is to be closed.
	// It is called on the listeners' goroutines and must not block. nil: all are taken.
	Admit func(conduit.Endpoints) (messages.Lease, bool)
	// State belongs to the node, so that a crash of the actor forgets nothing.
	State *ListenState
	// OnAddrs is told the addresses that are bound, after each change. It must not block.
	OnAddrs func([]ma.Multiaddr)
}

// ListenState is what is to be listened on, in order of the requests.
type ListenState struct{ slots []*slot }

// slot is one wanted address. It belongs to the listeners actor; the listener has its own notes,
// see place.
type slot struct {
	want  ma.Multiaddr
	bound ma.Multiaddr // last bound; kept while the listener is down
	up    bool
	reply actors.Reply[ma.Multiaddr]
	ref   actors.Ref[listenerMsg]
}

// ListenersSpec is how to spawn the supervisor of the listeners.
func ListenersSpec(cfg ListenersConfig) actors.Spec {
	return actors.Spec{
		Name:     "listeners",
		New:      func() actor.Actor { return &listeners{cfg: cfg} },
		Children: actors.Strategy{Intensity: 10, Window: 10 * time.Second, Backoff: 20 * time.Millisecond, MaxBackoff: 2 * time.Second},
	}
}

type listeners struct {
	cfg  ListenersConfig
	self actors.Ref[messages.Listeners]
	rt   *actors.Runtime
}

// Receive implements actor.Actor.
func (l *listeners) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		l.self = actors.Self[messages.Listeners](ctx)
		l.rt = actors.RuntimeOf(ctx)
		l.again(ctx)
	case *messages.Listen:
		l.listen(ctx, m)
	case *messages.Bound:
		l.bound(m)
	case *messages.Unbound:
		l.unbound(m)
	}
}

// again starts what the last incarnation had bound. Whoever waited for a first bind has been told
// that it failed, so there must be nothing left of that.
func (l *listeners) again(ctx actor.Context) {
	old := l.cfg.State.slots
	l.cfg.State.slots = nil
	for _, s := range old {
		if s.bound != nil {
			s.up = false
			l.cfg.State.slots = append(l.cfg.State.slots, s)
			l.spawn(ctx, s)
		}
	}
	l.tell()
}

func (l *listeners) listen(ctx actor.Context, m *messages.Listen) {
	switch {
	case l.transport(m.Addr) == nil:
		m.Reply.Fail(fmt.Errorf("local: no transport of this node can listen on %s", m.Addr))
	case l.find(m.Addr) != nil:
		m.Reply.Fail(fmt.Errorf("local: this node listens on %s already", m.Addr))
	default:
		s := &slot{want: m.Addr, reply: m.Reply}
		l.cfg.State.slots = append(l.cfg.State.slots, s)
		l.spawn(ctx, s)
	}
}

// transport is the first that can listen on an address, nil if none can.
func (l *listeners) transport(a ma.Multiaddr) conduit.Transport {
	for _, t := range l.cfg.Transports {
		if t.CanListen(a) {
			return t
		}
	}
	return nil
}

func (l *listeners) find(want ma.Multiaddr) *slot {
	for _, s := range l.cfg.State.slots {
		if s.want.Equal(want) {
			return s
		}
	}
	return nil
}

func (l *listeners) spawn(ctx actor.Context, s *slot) {
	t, at := l.transport(s.want), &place{want: s.want, bound: s.bound}
	ref, err := actors.Spawn[listenerMsg](ctx, actors.Spec{
		Kind: "listener",
		New: func() actor.Actor {
			return &listener{transport: t, place: at, owner: l.self, gate: l.cfg.Gate, admit: l.cfg.Admit, hub: l.cfg.Hub}
		},
		Restart: actors.Permanent,
	})
	if err != nil {
		s.reply.Fail(err) // only while this actor stops
		return
	}
	s.ref = ref
}

func (l *listeners) bound(m *messages.Bound) {
	s := l.find(m.Want)
	if s == nil {
		return
	}
	s.bound, s.up = m.Addr, true
	l.tell() // before the answer: whoever gets it may ask for the addresses at once
	s.reply.Answer(m.Addr)
	l.cfg.Hub.Emit(messages.Event{Kind: messages.EventListening, At: l.rt.Now(), Addrs: []ma.Multiaddr{m.Addr}})
}

// unbound: the first failure of a new address is its answer, and the end of it. Later ones are
// outages that the listener works on.
func (l *listeners) unbound(m *messages.Unbound) {
	s := l.find(m.Want)
	if s == nil {
		return
	}
	s.up = false
	l.cfg.Hub.Emit(messages.Event{Kind: messages.EventListenError, At: l.rt.Now(), Addrs: []ma.Multiaddr{m.Want}, Err: m.Err})
	if s.bound == nil {
		l.cfg.State.slots = slices.DeleteFunc(l.cfg.State.slots, func(o *slot) bool { return o == s })
		s.ref.Stop()
		s.reply.Fail(m.Err)
	}
	l.tell()
}

// tell hands the bound addresses to whoever advertises them.
func (l *listeners) tell() {
	var up []ma.Multiaddr
	for _, s := range l.cfg.State.slots {
		if s.up {
			up = append(up, s.bound)
		}
	}
	if l.cfg.OnAddrs != nil {
		l.cfg.OnAddrs(up)
	}
	_ = l.cfg.Identify.Control(&messages.ListenAddrs{Addrs: up})
}

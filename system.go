package troupe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"

	"log/slog"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/addrs"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/mux"
	"github.com/troupe-p2p/troupe/negotiation"
	"github.com/troupe-p2p/troupe/negotiation/admission"
	"github.com/troupe-p2p/troupe/peers"
	"github.com/troupe-p2p/troupe/peers/dialplan"
	"github.com/troupe-p2p/troupe/peerstore"
	"github.com/troupe-p2p/troupe/peerstore/book"
	"github.com/troupe-p2p/troupe/protocols"
	"github.com/troupe-p2p/troupe/protocols/identify"
	"github.com/troupe-p2p/troupe/transports"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/dnsaddr"

	ma "github.com/multiformats/go-multiaddr"
)

// System is a node. It is made by New, and its methods may be called from any goroutine but an
// actor's turn.
type System struct {
	cfg  Config
	id   identity.ID
	rt   *actors.Runtime
	name string // of the root actor

	root     actors.Ref[any]
	router   actors.Ref[messages.Router]
	book     actors.Ref[messages.Book]
	identify actors.Ref[messages.Identify]
	peers    actors.Ref[messages.Peers]
	listen   actors.Ref[messages.Listeners]
	routes   peers.Routes
	marks    peers.Marks
	stories  peers.Stories

	hub     *actors.Hub[Event]
	streams *actors.Budget
	buffers *actors.Budget
	table   *protocols.Table
	bound   atomic.Pointer[[]ma.Multiaddr]
	told    atomic.Pointer[[]ma.Multiaddr]
	counts  counts

	identifyState *identify.State
	names         *dnsaddr.Resolver

	life      context.Context // ends when Close begins
	end       context.CancelCauseFunc
	ownsRT    bool
	offEvents func()
}

// New makes a node and starts it: when New returns, every address of Config.Listen is bound.
func New(cfg Config) (*System, error) {
	s := &System{cfg: cfg}
	if err := s.prepare(); err != nil {
		return nil, err
	}
	if err := s.start(); err != nil {
		_ = s.Close(context.Background())
		return nil, err
	}
	return s, nil
}

func (s *System) prepare() error {
	bad := func(field string, err error) error {
		return ErrConfig.with("new", "", fmt.Errorf("Config.%s: %w", field, err))
	}
	if err := checkNetwork(&s.cfg); err != nil {
		return bad("PrivateNetwork", err)
	}
	s.rt = s.cfg.Runtime
	if s.rt == nil {
		o := actors.Options{}
		if s.cfg.Logger != nil {
			o.Logger = slog.New(zapslog.NewHandler(s.cfg.Logger.Core(), zapslog.WithName("actors")))
		}
		s.rt, s.ownsRT = actors.Live(o), true
	}
	if s.cfg.Logger == nil {
		s.cfg.Logger = zap.NewNop()
	}
	if s.cfg.Key == nil {
		k, err := identity.GenerateKey(identity.Ed25519, s.rt.Rand())
		if err != nil {
			return bad("Key", err)
		}
		s.cfg.Key = k
	}
	id, err := identity.IDFromKey(s.cfg.Key.Public())
	if err != nil {
		return bad("Key", err)
	}
	s.id = id
	s.hub = &actors.Hub[Event]{Runtime: s.rt, Tap: s.stories.Note}
	s.life, s.end = context.WithCancelCause(context.Background())
	s.table = &protocols.Table{}
	s.identifyState = &identify.State{}
	s.names = dnsaddr.New(s.rt, dnsaddr.Config{})
	l := s.cfg.Limits.WithDefaults()
	s.streams = actors.NewBudget("Limits.Streams", orNone(l.Streams))
	s.buffers = actors.NewBudget("Limits.BufferBytes", orNone(l.BufferBytes))
	return nil
}

// plan is what the node's supervisors start, in order: consumers before producers.
type plan struct {
	keepers, services, movers []actors.Spec
}

func (s *System) start() error {
	p, err := s.plan()
	if err != nil {
		return err
	}
	if s.name = s.cfg.Name; s.name == "" {
		s.name = s.rt.NextName("node")
	}
	s.offEvents = s.rt.OnEvent(s.kitEvent)
	steady := actors.Strategy{Intensity: 10, Window: 10 * time.Second}
	moving := steady
	moving.Scope = actors.RestForOne
	branches := []actors.Spec{
		actors.Supervisor("keepers", steady, func() []actors.Spec { return p.keepers }),
		actors.Supervisor("services", steady, func() []actors.Spec { return p.services }),
		actors.Supervisor("movers", moving, func() []actors.Spec { return p.movers }),
	}
	up := s.rt.NewCrossing()
	up.Begin()
	var missing atomic.Int32
	missing.Store(int32(len(branches)))
	for i := range branches {
		var once atomic.Bool
		branches[i] = started(branches[i], func(actor.Context) {
			if once.CompareAndSwap(false, true) && missing.Add(-1) == 0 {
				up.Done(0, nil)
			}
		})
	}
	node := actors.Supervisor(s.name, steady, func() []actors.Spec { return branches })
	node.Kind = "node"
	node = started(node, func(ctx actor.Context) { actors.Publish(ctx, "peer", s.id.String()) })
	if s.root, err = actors.Root[any](s.rt, node); err != nil {
		return ErrConfig.with("new", "", fmt.Errorf("Config.Runtime: %w", err))
	}
	_, _ = up.WaitDone()
	// Who came up early is told who came later; a Ref to a place outlives whoever lives there.
	_ = s.book.Control(&messages.Introduce{Peers: s.peers})
	_ = s.router.Control(&messages.IntroduceIdentify{Identify: s.identify})
	if err := s.serveBuiltIn(); err != nil {
		return err
	}
	return s.listenAll()
}

// started calls f after each start of an actor's incarnation.
func started(spec actors.Spec, f func(actor.Context)) actors.Spec {
	inner := spec.New
	spec.New = func() actor.Actor { return &startedActor{inner(), f} }
	return spec
}

type startedActor struct {
	actor.Actor
	f func(actor.Context)
}

// Receive implements actor.Actor.
func (a *startedActor) Receive(ctx actor.Context) {
	a.Actor.Receive(ctx)
	if _, ok := ctx.Message().(*actor.Started); ok {
		a.f(ctx)
	}
}

func (s *System) plan() (*plan, error) {
	bad := func(field string, err error) error {
		return ErrConfig.with("new", "", fmt.Errorf("Config.%s: %w", field, err))
	}
	up, err := upgradeConfig(&s.cfg, s.rt, s.id)
	if err != nil {
		return nil, bad("Security", err)
	}
	adapters, err := s.adapters()
	if err != nil {
		return nil, bad("Transports", err)
	}
	for _, t := range adapters {
		if err := checkPrivate(&s.cfg, t); err != nil {
			return nil, bad("PrivateNetwork", err)
		}
	}
	var bookSlot, routerSlot, identifySlot, peersSlot, gateSlot, listenSlot actors.Slot
	s.book = actors.SlotRef[messages.Book](&bookSlot)
	s.router = actors.SlotRef[messages.Router](&routerSlot)
	s.identify = actors.SlotRef[messages.Identify](&identifySlot)
	s.peers = actors.SlotRef[messages.Peers](&peersSlot)
	s.listen = actors.SlotRef[messages.Listeners](&listenSlot)
	gate := actors.SlotRef[messages.Gate](&gateSlot)

	l := s.cfg.Limits.WithDefaults()
	door := negotiation.NewDoor(admission.PrefixConfig{
		Conns: l.ConnsPerPrefix, Rate: l.NewConnsPerPrefix, Exempt: l.Exempt,
	}, s.rt.Now, gate)
	p := &plan{}
	p.keepers = append(p.keepers,
		in(&bookSlot, peerstore.Spec(peerstore.Config{State: peerstore.NewState(book.Config{})})),
		in(&routerSlot, protocols.Spec(protocols.Config{Table: s.table})),
	)
	ident, err := s.identifySpec(s.book, s.peers)
	if err != nil {
		return nil, err
	}
	p.services = append(p.services, in(&identifySlot, ident))

	hooks := newGating(s.cfg.Gater, l)
	up.Hooks, up.Refuse = hooks.upgrade, mux.Refuse
	dialCfg := transports.DialConfig{
		Transports: adapters, RawOnly: s.cfg.PrivateNetwork != nil, Unsettled: unsettled(&s.cfg),
		Allow: hooks.dial, Check: hooks.upgrade.Secured != nil || hooks.upgrade.Upgraded != nil,
		Upgrade: func(id uint64, c conduit.Conduit, expect identity.ID, to actors.Ref[messages.Upgrader]) actors.Spec {
			return negotiation.Spec(up, negotiation.Job{ID: id, Conduit: c.Raw, Muxed: c.Muxed, Expect: expect, To: to})
		},
	}
	p.movers = append(p.movers,
		in(&peersSlot, peers.Spec(peers.Config{
			Self: s.id, Limits: s.cfg.Limits, Hub: s.hub, State: &peers.State{}, Routes: &s.routes, Marks: &s.marks, Stories: &s.stories,
			Book: s.book, Identify: s.identify, Streams: s.streams, Buffers: s.buffers,
			Session: s.sessionSpec, Refuse: mux.Refuse,
			Dial: func(j peers.DialJob) actors.Spec {
				c := dialCfg
				c.Attempt, c.Addr, c.Expect, c.Timeout, c.Owner = j.Attempt, j.Addr, j.Expect, j.Timeout, j.Owner
				return transports.DialSpec(c)
			},
			CanDial: func(a ma.Multiaddr) error { return canDial(adapters, a) },
			Own:     s.ListenAddrs,
			Explain: func(op string, peer identity.ID, err error) error {
				return s.explain(context.Background(), op, peer, err)
			},
			OnCount:     s.counts.peers,
			Resolve:     s.names.Resolve,
			DialTimeout: s.cfg.DialTimeout,
		})),
		in(&gateSlot, negotiation.GateSpec(negotiation.GateConfig{
			HalfOpen: s.cfg.Limits.HalfOpen, Upgrade: up, Peers: s.peers, Hub: s.hub, Door: door, OnCount: s.counts.gate,
		})),
		in(&listenSlot, transports.ListenersSpec(transports.ListenersConfig{
			Transports: adapters, Gate: gate, Identify: s.identify, Hub: s.hub, Admit: door.Admit, State: &transports.ListenState{},
			OnAddrs: func(as []ma.Multiaddr) { s.bound.Store(&as) },
		})),
	)
	return p, nil
}

// in gives an actor its place.
func in(slot *actors.Slot, spec actors.Spec) actors.Spec {
	spec.Slot = slot
	return spec
}

func canDial(ts []conduit.Transport, a ma.Multiaddr) error {
	if slices.ContainsFunc(ts, func(t conduit.Transport) bool { return t.CanDial(a) }) {
		return nil
	}
	return fmt.Errorf("%w: %s", dialplan.ErrNoTransport, a)
}

func (s *System) sessionSpec(j peers.SessionJob) actors.Spec {
	y := s.cfg.Yamux
	if y.MaxInboundStreams == 0 {
		y.MaxInboundStreams = int(orNone(s.cfg.Limits.WithDefaults().StreamsPerConn))
	}
	return mux.Spec(mux.Config{
		Conn: j.Conn, Secured: j.Link.Secured, Muxed: j.Link.Muxed, Lookup: s.table.Lookup,
		Owner: j.Owner, Streams: j.Streams, Buffers: j.Buffers, Yamux: y, NegotiateTimeout: s.cfg.NegotiateTimeout,
	})
}

func (s *System) listenAll() error {
	for _, text := range s.cfg.Listen {
		a, err := addrs.ParseString(text)
		if err != nil {
			return ErrConfig.with("new", "", fmt.Errorf("Config.Listen: %w", err))
		}
		if _, err := s.Listen(s.life, a); err != nil {
			return err
		}
	}
	return nil
}

// Listen binds one more address and returns it with its real port.
func (s *System) Listen(ctx context.Context, a ma.Multiaddr) (ma.Multiaddr, error) {
	got, err := actors.AskControl(ctx, s.listen, func(r actors.Reply[ma.Multiaddr]) messages.Listeners {
		return &messages.Listen{Addr: a, Reply: r}
	})
	if err == nil {
		return got, nil
	}
	for _, e := range []*Error{ErrClosed, ErrDeadline, ErrRestarting} {
		if err := s.explain(ctx, "listen", "", err); errors.Is(err, e) {
			return nil, err
		}
	}
	return nil, ErrListen.with("listen", "", err)
}

// ID is the node's peer ID.
func (s *System) ID() identity.ID { return s.id }

// Runtime is the actors' world that the node lives in.
func (s *System) Runtime() *actors.Runtime { return s.rt }

// ListenAddrs are the bound addresses, with real ports and unspecified hosts as they are.
func (s *System) ListenAddrs() []ma.Multiaddr {
	if p := s.bound.Load(); p != nil {
		return *p
	}
	return nil
}

// Tree is the node's part of the live tree: every actor with its phase, age, mailbox, restarts,
// last failure and published values; the recently dead; the abandoned.
func (s *System) Tree() actors.Tree { return s.rt.Tree(s.name) }

// TreeWithStacks is Tree with the stacks of what is stuck. If anything is, that stops the whole
// process for a moment.
func (s *System) TreeWithStacks() actors.Tree { return s.rt.TreeWithStacks(s.name) }

// kitEvent passes the failures of this node's actors on.
func (s *System) kitEvent(e actors.Event) {
	if e.Path != s.name && !strings.HasPrefix(e.Path, s.name+"/") {
		return
	}
	switch e.Kind {
	case actors.EventFailed:
		s.hub.Emit(Event{Kind: EventPanic, At: s.rt.Now(), Path: e.Path, Err: e.Err})
		s.cfg.Logger.Warn("an actor panicked", zap.String("path", e.Path), zap.Error(e.Err))
	case actors.EventAbandoned:
		s.hub.Emit(Event{Kind: EventAbandoned, At: s.rt.Now(), Path: e.Path, Err: e.Err})
		s.cfg.Logger.Warn("an actor is stuck and was abandoned", zap.String("path", e.Path))
	default:
	}
}

// explain is the package's explain, which knows about the node and the call: whether it is closed,
// and why ctx is done.
func (s *System) explain(ctx context.Context, op string, peer identity.ID, err error) error {
	switch {
	case err == nil:
		return nil
	case s.life.Err() != nil && (errors.Is(err, actors.ErrStopped) || errors.Is(err, actors.ErrClosed) || errors.Is(err, context.Canceled) || errors.Is(err, ErrClosed)):
		return ErrClosed.with(op, peer, nil)
	case ctx.Err() != nil && errors.Is(err, context.Cause(ctx)):
		return ErrDeadline.with(op, peer, err)
	}
	return explain(op, peer, err)
}

// StragglersError is the cause of ErrStragglers.
type StragglersError struct {
	// Paths name the actors, tasks and goroutines of adapters that did not end.
	Paths []string
}

func (e *StragglersError) Error() string {
	return fmt.Sprintf("%d did not end in time: %s", len(e.Paths), strings.Join(e.Paths, ", "))
}

// Close ends the node: listeners first, then connections with a word to the peers, services,
// keepers. It returns when everything has ended, or when ctx is done (after Config.CloseTimeout
// if ctx has no deadline) with ErrStragglers around a *StragglersError. Later calls do the same
// wait again.
func (s *System) Close(ctx context.Context) error {
	s.end(ErrClosed)
	if _, ok := ctx.Deadline(); !ok {
		d := s.cfg.CloseTimeout
		if d <= 0 {
			d = 8 * time.Second
		}
		var cancel context.CancelFunc
		ctx, cancel = s.rt.WithTimeout(ctx, d)
		defer cancel()
	}
	defer s.hub.Close(ErrClosed)
	var paths []string
	if s.ownsRT {
		paths = s.rt.Close(ctx)
	} else if !s.root.IsZero() {
		paths = s.rt.CloseRoot(ctx, s.name)
	}
	if s.offEvents != nil {
		s.offEvents()
	}
	if len(paths) > 0 {
		return ErrStragglers.with("close", "", &StragglersError{paths})
	}
	return nil
}

// orNone says what a limit that allows nothing is called where 0 stands for something else.
func orNone(limit int) int64 {
	if limit == 0 {
		return -1
	}
	return int64(limit)
}

package actors

import (
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// policy is the part of a Spec that many actors share.
type policy struct {
	Kind        string
	Mailbox     Mailbox
	Restart     Restart
	Children    Strategy
	StopOrdered bool
	StopTimeout time.Duration
	Inline      bool
	Eager       bool
	Follow      bool
	Pace        *Pace
}

// maxPolicies is how many distinct policies are kept for sharing. Attack: none, a program that
// makes kinds or Paces up at run time only pays memory for each of its actors.
const maxPolicies = 1024

func (rt *Runtime) policy(s *Spec) *policy {
	p := policy{s.Kind, s.Mailbox, s.Restart, s.Children, s.StopOrdered, s.StopTimeout, s.Inline, s.Eager, s.Follow, s.Pace}
	rt.polMu.RLock()
	q := rt.policies[p]
	rt.polMu.RUnlock()
	if q != nil {
		return q
	}
	rt.polMu.Lock()
	defer rt.polMu.Unlock()
	if q := rt.policies[p]; q != nil {
		return q
	}
	q = new(policy)
	*q = p // not &p, which would be allocated for every spawn
	if len(rt.policies) < maxPolicies {
		rt.policies[p] = q
	}
	return q
}

// spawnShards spreads spawns over several locks.
const spawnShards = 8

// spawner hands the next cell to proto.actor, whose producers take no arguments: whoever spawns
// holds mu, sets next, and calls proto.actor, which asks for the mailbox on the same goroutine.
// Nothing of a user's runs under mu.
type spawner struct {
	mu    sync.Mutex
	next  *cell
	props *actor.Props
}

func (s *spawner) init() {
	s.props = actor.PropsFromProducer(func() actor.Actor { return &wrapper{} },
		options(func() actor.Mailbox { return s.next })...)
}

func options(mailbox actor.MailboxProducer) []actor.PropsOption {
	return []actor.PropsOption{
		actor.WithMailbox(mailbox),
		actor.WithDispatcher(noDispatcher{}),
		actor.WithSpawnMiddleware(spawnMiddleware),
	}
}

var errSlash = errors.New(`actors: an actor's name must not contain "/"`)

// noDispatcher: cells schedule themselves.
type noDispatcher struct{}

func (noDispatcher) Schedule(fn func()) { panic("actors: proto.actor scheduled past the kit") }
func (noDispatcher) Throughput() int    { return turnBatch }

func (rt *Runtime) newCell(parent *cell, s *Spec) (*cell, error) {
	if s.New == nil {
		return nil, errors.New("actors: a Spec without New")
	}
	spec := *s
	if !rt.inline || spec.Pace == SlowPace {
		spec.Pace = nil // in a simulation nobody lends
	}
	if spec.Kind == "" {
		spec.Kind = spec.Name
	}
	if spec.Kind == "" {
		spec.Kind = "actor"
	}
	name := spec.Name
	if name == "" {
		name = spec.Kind + "-" + strconv.FormatUint(rt.spawned.Add(1), 36)
	}
	if strings.Contains(name, "/") {
		return nil, errSlash
	}
	c := &cell{rt: rt, parent: parent, pol: rt.policy(&spec), name: name, build: spec.New, born: rt.host.nano()}
	if s.Slot != nil {
		c.seldom().slot = s.Slot
	}
	return c, nil
}

// Spawn starts a child of the actor whose turn this is.
func Spawn[M any](ctx actor.Context, s Spec) (Ref[M], error) {
	parent := cellOf(ctx)
	if parent == nil {
		return Ref[M]{}, errors.New("actors: Spawn outside of an actor of this kit")
	}
	c, err := parent.rt.newCell(parent, &s)
	if err != nil {
		return Ref[M]{}, err
	}
	if parent.wrap != nil {
		_, err = parent.spawnChild(c, ctx)
	} else {
		parent.setSpawning(c)
		_, err = ctx.SpawnNamed(parent.rt.spawners[0].props, c.name)
		parent.setSpawning(nil)
	}
	if err != nil {
		if errors.Is(err, actor.ErrNameExists) {
			err = ErrNameTaken
		}
		return Ref[M]{}, err
	}
	if c.eager() {
		c.beginHere(parent.worker)
	}
	return Ref[M]{c: c}, nil
}

// beginHere runs the first turn on the goroutine of whoever spawns the actor, which is w's. That one may
// be unwound by runtime.Goexit; what is left to do is done by a worker then too.
func (c *cell) beginHere(w *worker) {
	more := true
	defer func() {
		if more {
			c.rt.host.schedule(c)
		}
	}()
	more = c.turn(turnBatch, w)
}

// eager says that whoever spawns the actor runs its first turn.
func (c *cell) eager() bool { return c.pol.Eager && c.rt.inline && c.parent != nil }

// spawnChild goes past proto.actor's own set of an actor's children, which takes half a KiB and
// would be the second one: proto.actor looks at it only when the actor stops or restarts, and is
// told of the children then, by tellOfChildren.
func (c *cell) spawnChild(child *cell, pctx actor.SpawnerContext) (*actor.PID, error) {
	if c.closing() {
		return nil, ErrStopping
	}
	c.mu.Lock()
	twin := c.ext().kids.get(child.name)
	c.mu.Unlock()
	if twin != nil {
		// Perhaps it has ended and the parent has yet to hear of it; see terminated.
		return twin.self, actor.ErrNameExists
	}
	sp := &c.rt.spawners[c.seq%spawnShards]
	sp.mu.Lock()
	defer sp.mu.Unlock()
	sp.next = child
	defer func() { sp.next = nil }()
	return actor.DefaultSpawner(c.rt.sys, c.path()+"/"+child.name, sp.props, pctx)
}

// tellOfChildren lets proto.actor know of the children before it stops them, and waits for their
// end. It asks for each by its name, and gets the one that there is; those of an actor that was
// spawned past the kit it knows.
func (c *cell) tellOfChildren() {
	if c.wrap == nil {
		return
	}
	for _, k := range c.childrenInOrder() {
		c.setSpawning(k)
		_, _ = c.inv.(actor.SpawnerContext).SpawnNamed(c.rt.spawners[0].props, k.name)
	}
}

// setSpawning leaves the cell where the spawn middleware finds it.
func (c *cell) setSpawning(child *cell) {
	c.mu.Lock()
	c.seldom().spawning = child
	c.mu.Unlock()
}

// NextName is prefix-1, prefix-2, ...: for roots without a name of their own.
func (rt *Runtime) NextName(prefix string) string {
	return prefix + "-" + strconv.FormatUint(rt.named.Add(1), 10)
}

// Root starts an actor without a parent. The runtime restarts it when it fails.
func Root[M any](rt *Runtime, s Spec) (Ref[M], error) {
	c, err := rt.newCell(nil, &s)
	if err != nil {
		return Ref[M]{}, err
	}
	rt.mu.Lock()
	if rt.closed {
		rt.mu.Unlock()
		return Ref[M]{}, ErrClosed
	}
	rt.rootSeq++
	c.seq = rt.rootSeq
	rt.roots = append(rt.roots, c)
	rt.mu.Unlock()
	sp := &rt.spawners[0]
	sp.mu.Lock()
	sp.next = c
	_, err = rt.sys.Root.SpawnNamed(sp.props, c.name)
	sp.next = nil
	sp.mu.Unlock()
	if err != nil {
		c.stillborn()
		rt.mu.Lock()
		rt.dropRoot(c)
		rt.mu.Unlock()
		if errors.Is(err, actor.ErrNameExists) {
			err = ErrNameTaken
		}
		return Ref[M]{}, err
	}
	return Ref[M]{c: c}, nil
}

// spawnMiddleware sees every spawn that an actor of the kit makes, with the kit's call or with
// proto.actor's, and gives both a cell.
func spawnMiddleware(next actor.SpawnFunc) actor.SpawnFunc {
	return func(sys *actor.ActorSystem, id string, props *actor.Props, pctx actor.SpawnerContext) (*actor.PID, error) {
		ctx, ok := pctx.(actor.Context)
		if !ok {
			return next(sys, id, props, pctx)
		}
		parent := cellOf(ctx)
		if parent == nil {
			return nil, ErrStopping
		}
		name := strings.TrimPrefix(id, parent.path()+"/")
		parent.mu.Lock()
		r := parent.seldom()
		child := r.spawning
		r.spawning = nil
		twin := parent.x.kids.get(name)
		parent.mu.Unlock()
		switch {
		case twin != nil && twin == child:
			return twin.self, nil // it lives; see tellOfChildren
		case parent.closing():
			return nil, ErrStopping
		case strings.Contains(name, "/"):
			return nil, errSlash
		case twin != nil:
			// Perhaps it has ended and the parent has yet to hear of it; see terminated.
			return twin.self, actor.ErrNameExists
		case child == nil:
			return parent.spawnForeign(next, sys, name, id, props, pctx)
		}
		sp := &parent.rt.spawners[parent.seq%spawnShards]
		sp.mu.Lock()
		defer sp.mu.Unlock()
		sp.next = child
		defer func() { sp.next = nil }()
		return next(sys, id, sp.props, pctx)
	}
}

// spawnForeign spawns what a user's actor asked proto.actor for. The user's producer, OnInit and
// spawn function run in there.
func (c *cell) spawnForeign(next actor.SpawnFunc, sys *actor.ActorSystem, name, id string, props *actor.Props, pctx actor.SpawnerContext) (pid *actor.PID, err error) {
	child := &cell{
		rt: c.rt, parent: c, name: name, born: c.rt.host.nano(),
		pol: c.rt.policy(&Spec{Kind: "foreign", Restart: Transient}),
	}
	props = props.Clone(append(options(func() actor.Mailbox { return child }), actor.WithReceiverMiddleware(child.foreign))...)
	clean := false
	defer func() {
		if (!clean || err != nil) && child.stillborn() {
			// A panic in OnInit leaves a process behind that would never run.
			sys.ProcessRegistry.Remove(actor.NewPID(sys.ProcessRegistry.Address, id))
		}
	}()
	pid, err = next(sys, id, props, pctx)
	clean = true
	return pid, err
}

// stillborn ends a cell whose spawn failed. It reports whether proto.actor may have got as far as
// putting it into its registry.
func (c *cell) stillborn() bool {
	c.mu.Lock()
	if c.self != nil || c.dead {
		c.mu.Unlock()
		return false // it lives, or has ended in order
	}
	c.dead = true
	c.phase.Store(uint32(Ended))
	c.rt.reaper.forget(c)
	c.sys = sysQueue{}
	lost := append(c.control.takeAll(), c.data.takeAll()...)
	c.mu.Unlock()
	for _, m := range lost {
		c.undelivered(m, ErrStopped)
	}
	return true
}

// cellOf finds the cell behind a context.
func cellOf(ctx actor.Context) *cell {
	if w, ok := ctx.Actor().(*wrapper); ok {
		return w.c
	}
	return foreignCell(ctx)
}

// foreignCell finds the cell of an actor that was spawned with proto.actor's own calls, by its
// place in its parent.
func foreignCell(ctx interface {
	Self() *actor.PID
	ActorSystem() *actor.ActorSystem
}) *cell {
	rt, ok := ctx.ActorSystem().Extensions.Get(extensionID).(*Runtime)
	if !ok {
		return nil
	}
	return rt.find(ctx.Self().Id)
}

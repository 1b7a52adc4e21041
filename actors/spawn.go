package actors

import (
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
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
}

// maxPolicies is how many distinct policies are kept for sharing. Attack: none, a program that
// makes kinds up at run time only pays memory for each of its actors.
const maxPolicies = 1024

func (rt *Runtime) policy(s *Spec) *policy {
	p := policy{s.Kind, s.Mailbox, s.Restart, s.Children, s.StopOrdered, s.StopTimeout, s.Inline}
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if q := rt.policies[p]; q != nil {
		return q
	}
	q := &p
	if len(rt.policies) < maxPolicies {
		rt.policies[p] = q
	}
	return q
}

// spawnShards spreads spawns over several locks.
const spawnShards = 8

// spawner hands the next cell to proto.actor, whose producers take no arguments: whoever spawns
// holds mu, sets next, and calls proto.actor, which asks for the mailbox on the same goroutine.
type spawner struct {
	mu    sync.Mutex
	next  *cell
	props *actor.Props
}

func (s *spawner) init(rt *Runtime) {
	s.props = actor.PropsFromProducer(func() actor.Actor { return &wrapper{} }, s.options(rt)...)
}

func (s *spawner) options(*Runtime) []actor.PropsOption {
	return []actor.PropsOption{
		actor.WithMailbox(func() actor.Mailbox {
			c := s.next
			s.next = nil
			return c
		}),
		actor.WithDispatcher(noDispatcher{}),
		actor.WithSpawnMiddleware(spawnMiddleware),
	}
}

// noDispatcher: cells schedule themselves.
type noDispatcher struct{}

func (noDispatcher) Schedule(fn func()) { panic("actors: proto.actor scheduled past the kit") }
func (noDispatcher) Throughput() int    { return turnBatch }

var spawnCount atomic.Uint64

func (rt *Runtime) newCell(parent *cell, s *Spec) (*cell, error) {
	if s.New == nil {
		return nil, errors.New("actors: a Spec without New")
	}
	spec := *s
	if spec.Kind == "" {
		spec.Kind = spec.Name
	}
	if spec.Kind == "" {
		spec.Kind = "actor"
	}
	name := spec.Name
	if name == "" {
		name = spec.Kind + "-" + strconv.FormatUint(spawnCount.Add(1), 36)
	}
	if strings.Contains(name, "/") {
		return nil, errors.New(`actors: an actor's name must not contain "/"`)
	}
	return &cell{rt: rt, parent: parent, pol: rt.policy(&spec), name: name, build: spec.New, born: rt.host.nano()}, nil
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
	parent.setSpawning(c)
	_, err = ctx.SpawnNamed(parent.rt.spawners[0].props, c.name)
	parent.setSpawning(nil)
	if err != nil {
		if errors.Is(err, actor.ErrNameExists) {
			err = ErrNameTaken
		}
		return Ref[M]{}, err
	}
	return Ref[M]{c}, nil
}

// setSpawning leaves the cell where the spawn middleware finds it.
func (c *cell) setSpawning(child *cell) {
	c.mu.Lock()
	c.ext().spawning = child
	c.mu.Unlock()
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
		rt.mu.Lock()
		rt.dropRoot(c)
		rt.mu.Unlock()
		if errors.Is(err, actor.ErrNameExists) {
			err = ErrNameTaken
		}
		return Ref[M]{}, err
	}
	return Ref[M]{c}, nil
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
		if parent == nil || Phase(parent.phase.Load()) >= Stopping {
			return nil, ErrStopping
		}
		parent.mu.Lock()
		child := parent.ext().spawning
		parent.x.spawning = nil
		parent.mu.Unlock()
		rt := parent.rt
		sp := &rt.spawners[parent.seq%spawnShards]
		foreign := child == nil
		if foreign {
			child = &cell{
				rt: rt, parent: parent, name: id[strings.LastIndexByte(id, '/')+1:], born: rt.host.nano(),
				pol: rt.policy(&Spec{Kind: "foreign", Restart: Transient}),
			}
			props = props.Clone(append(sp.options(rt), actor.WithReceiverMiddleware(containForeign))...)
		} else {
			props = sp.props
		}
		sp.mu.Lock()
		defer sp.mu.Unlock()
		sp.next = child
		defer func() { sp.next = nil }()
		return next(sys, id, props, pctx)
	}
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

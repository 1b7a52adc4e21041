package actors

import (
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// cell is one actor as the kit sees it: its mailbox, its place in the tree, and what it owns.
// It implements proto.actor's Mailbox, so that every message of the actor passes through it.
//
// mu guards what several goroutines touch. Fields marked "turn" belong to whoever runs the
// actor's turn, of which there is never more than one.
type cell struct {
	mu     sync.Mutex
	rt     *Runtime
	parent *cell // nil: a root
	pol    *policy
	name   string
	build  func() actor.Actor
	inv    actor.MessageInvoker // turn; also proto.actor's Context
	self   *actor.PID           // set once, before the first turn
	wrap   *wrapper             // turn; nil for an actor that was spawned past the kit

	sys     []any
	control lane
	data    lane

	phase  atomic.Uint32 // a Phase
	run    runState      // mu
	dead   bool          // mu: nothing is taken any more
	refuse bool          // mu: failed, waits for a later restart; nothing but system messages is taken
	susp   bool          // turn: system messages only
	inSys  bool          // turn: a system message is being handled
	seq    uint32        // order among siblings
	inc    uint32        // turn: incarnation

	sysSeq uint32 // mu: system messages taken so far
	turnAt int64  // mu: when the running turn began
	born   int64
	worker *worker // mu: who runs the turn
	cur    any     // turn: the message in hand
	x      *extras // mu for the pointer; see there
}

// runState of a mailbox.
type runState uint8

const (
	runUnborn runState = iota // before Start
	runIdle
	runQueued  // waits for a worker
	runRunning // in a turn
)

// Phase is where an actor is in its life.
type Phase uint32

// The phases of an actor.
const (
	Starting Phase = iota
	Alive
	Failed     // waits for its supervisor
	Restarting // its children are being stopped
	Stopping
	Ended
	Abandoned
)

func (p Phase) String() string {
	return [...]string{"starting", "alive", "failed", "restarting", "stopping", "ended", "abandoned"}[p]
}

// extras are what most actors never need. Guarded by cell.mu.
type extras struct {
	children map[*actor.PID]*cell
	lastSeq  uint32
	asks     *ask
	tasks    *Task
	timers   *Timer
	watchers []*actor.PID
	info     []KeyValue
	history  History // the parent's turn
	last     *PanicError
	failures uint32
	restarts uint32
	refused  uint64
	token    uint32   // changes with every restart, so that a late delayed one is void
	parked   int64    // nano until which the actor is parked; 0: not
	order    []*cell  // StopOrdered: those still to be stopped
	spawning *cell    // between Spawn and the spawn middleware
	ending   childEnd // turn of the parent: the child whose Terminated is in hand
	stopper  stopper  // StopOrdered: the current child's deadline
	done     []chan struct{}
	command  bool  // its parent or the runtime wants it stopped
	cause    error // why it ended
}

func (c *cell) ext() *extras {
	if c.x == nil {
		c.x = &extras{}
	}
	return c.x
}

func (c *cell) is(p Phase) bool { return Phase(c.phase.Load()) == p }
func (c *cell) setPhase(p Phase) {
	c.phase.Store(uint32(p))
}

// closing says that a Stop of a child is meant: the parent restarts, stops or is gone.
func (c *cell) closing() bool { return Phase(c.phase.Load()) >= Restarting }

func (c *cell) path() string {
	if c.self == nil {
		return c.name
	}
	return c.self.Id
}

// ---- proto.actor's Mailbox ----

// RegisterHandlers learns whose mailbox this is: the invoker is the actor's context.
func (c *cell) RegisterHandlers(inv actor.MessageInvoker, _ actor.Dispatcher) {
	ctx := inv.(actor.Context)
	c.mu.Lock()
	c.inv, c.self = inv, ctx.Self()
	c.wrap, _ = ctx.Actor().(*wrapper)
	if c.wrap != nil {
		c.wrap.c = c
	}
	c.mu.Unlock()
	if p := c.parent; p != nil {
		p.mu.Lock()
		x := p.ext()
		if x.children == nil {
			x.children = make(map[*actor.PID]*cell)
		}
		x.lastSeq++
		c.seq = x.lastSeq
		x.children[c.self] = c
		p.mu.Unlock()
	}
}

// Start is called by the spawner after Started was posted, so that Started is always first.
func (c *cell) Start() {
	c.mu.Lock()
	c.run = runQueued
	c.mu.Unlock()
	c.rt.host.schedule(c)
}

// UserMessageCount is the number of messages that wait.
func (c *cell) UserMessageCount() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return int(c.control.n + c.data.n)
}

// PostUserMessage is how proto.actor's own Send arrives: as data.
func (c *cell) PostUserMessage(m any) {
	if err := c.postData(m); err != nil {
		c.undelivered(m, err)
	}
}

// PostSystemMessage takes lifecycle messages. They are never refused while the actor lives.
func (c *cell) PostSystemMessage(m any) {
	c.mu.Lock()
	switch m := m.(type) {
	case *actor.Watch:
		if c.dead {
			self := c.self
			c.mu.Unlock()
			c.rt.sendSystem(m.Watcher, &actor.Terminated{Who: self})
			return
		}
		x := c.ext()
		x.watchers = append(x.watchers, m.Watcher)
	case *actor.Unwatch:
		if c.x != nil {
			for i, w := range c.x.watchers {
				if w.Equal(m.Watcher) {
					c.x.watchers = append(c.x.watchers[:i], c.x.watchers[i+1:]...)
					break
				}
			}
		}
	case *actor.Stop:
		if !c.dead {
			c.rt.reaper.watch(c, c.sysSeq)
		}
	}
	if c.dead {
		c.mu.Unlock()
		return
	}
	c.sys = append(c.sys, m)
	c.wake()
}

// wake schedules an idle actor. It is called with mu held and gives it up.
func (c *cell) wake() {
	if c.run != runIdle {
		c.mu.Unlock()
		return
	}
	c.run = runQueued
	c.mu.Unlock()
	c.rt.host.schedule(c)
}

// ---- the two lanes ----

func (c *cell) postData(m any) error {
	c.mu.Lock()
	if err := c.closedErr(); err != nil {
		c.mu.Unlock()
		return err
	}
	if c.data.n >= c.pol.Mailbox.data() {
		return c.overflow(m)
	}
	c.data.push(m, c.rt.host.nano)
	c.wake()
	return nil
}

func (c *cell) postControl(m any) error {
	c.mu.Lock()
	if err := c.closedErr(); err != nil {
		c.mu.Unlock()
		return err
	}
	if c.control.n >= c.pol.Mailbox.control() {
		c.mu.Unlock()
		c.command()
		return ErrMailboxFull
	}
	c.control.push(m, c.rt.host.nano)
	c.wake()
	return nil
}

func (c *cell) closedErr() error {
	switch {
	case c.dead:
		return ErrStopped
	case c.refuse:
		return ErrRestarting
	}
	return nil
}

// overflow applies the mailbox's rule. It is called with mu held and gives it up.
func (c *cell) overflow(m any) error {
	if _, ok := m.(*actor.PoisonPill); ok {
		c.data.push(m, c.rt.host.nano)
		c.wake()
		return nil
	}
	c.ext().refused++
	switch c.pol.Mailbox.Full {
	case Drop:
		c.mu.Unlock()
		discard(m, ErrMailboxFull)
		return nil
	case Coalesce:
		if k, ok := m.(Coalescer); ok {
			key := k.CoalesceKey()
			old, ok := c.data.replace(m, func(o any) bool {
				o2, ok := o.(Coalescer)
				return ok && o2.CoalesceKey() == key
			})
			if ok {
				c.mu.Unlock()
				discard(old, ErrMailboxFull)
				return nil
			}
		}
	case StopActor:
		c.mu.Unlock()
		c.command()
		return ErrMailboxFull
	}
	c.mu.Unlock()
	return ErrMailboxFull
}

// offer handles m on the caller's goroutine if the actor is idle and made for it, and queues
// it else.
func (c *cell) offer(m any) error {
	if !c.pol.Inline || !c.rt.inline {
		return c.postData(m)
	}
	c.mu.Lock()
	if c.run != runIdle || c.susp || c.dead || c.refuse || len(c.sys) > 0 || c.control.n > 0 || c.data.n > 0 {
		if err := c.closedErr(); err != nil {
			c.mu.Unlock()
			return err
		}
		if c.data.n >= c.pol.Mailbox.data() {
			return c.overflow(m)
		}
		c.data.push(m, c.rt.host.nano)
		c.wake()
		return nil
	}
	c.run = runRunning
	c.turnAt = c.rt.host.nano()
	c.mu.Unlock()
	c.inlineTurn(m)
	return nil
}

// undelivered tells whoever waits for m that it was not received.
func (c *cell) undelivered(m any, why error) {
	if e, ok := m.(*actor.MessageEnvelope); ok {
		discard(e.Message, why)
		if e.Sender != nil {
			c.rt.sys.DeadLetter.SendUserMessage(c.self, m)
		}
		return
	}
	discard(m, why)
}

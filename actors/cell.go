package actors

import (
	"slices"
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
	wrap   *wrapper             // turn; nil for an actor that was spawned past the kit, and at the end

	sys     sysQueue
	control lane
	data    lane

	phase  atomic.Uint32 // a Phase
	run    runState      // mu
	dead   bool          // mu: nothing is taken any more
	refuse bool          // mu: failed, waits for a later restart; nothing but system messages is taken
	susp   bool          // turn: system messages only
	inSys  bool          // turn: a system message is being handled
	begun  bool          // turn: Started was delivered once
	more   bool          // turn: others waited when the message in hand was taken
	asked  bool          // mu: its parent or the runtime wants it stopped
	seq    uint32        // order among siblings
	inc    uint32        // turn: incarnation

	taken  uint32 // mu: grows with every message that a turn takes; see within
	turns  uint32 // mu: grows with every turn
	turnAt int64  // mu: when the actor was woken, or began its latest turn in a row
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

// extras are what an actor does not need that only receives. Guarded by cell.mu. Their size counts:
// most streams have an actor with some.
type extras struct {
	kids    brood
	asks    *ask
	tasks   *Task
	timers  *Timer
	about   func() []KeyValue // see Describe
	ending  *cell             // turn: the child whose Terminated is in hand
	watch   *watch            // mu of the reaper
	lastSeq uint32            // of a child
	token   uint32            // changes with every restart, so that a late delayed one is void
	rare    *rare
}

// rare is what most actors never need. Guarded by cell.mu.
type rare struct {
	watchers []*actor.PID
	info     []KeyValue
	history  History // the supervisor's turn
	last     *PanicError
	failures uint32
	restarts uint32
	refused  uint64
	delayed  stopper       // the restart that is to come
	parked   int64         // nano until which the actor is parked; 0: not
	order    []*cell       // StopOrdered: those still to be stopped
	stopper  stopper       // StopOrdered: the current child's deadline
	spawning *cell         // between Spawn and the spawn middleware
	slot     *Slot         // to be taken when the actor is registered
	done     chan struct{} // closed at the end; nil: nobody asked
	cause    error         // why it ended
}

// ext is called with mu held.
func (c *cell) ext() *extras {
	if c.x == nil {
		c.x = &extras{}
	}
	return c.x
}

// seldom is called with mu held.
func (c *cell) seldom() *rare {
	x := c.ext()
	if x.rare == nil {
		x.rare = &rare{}
	}
	return x.rare
}

// seen is what there is to be read of the rare; mu is held.
func (c *cell) seen() *rare {
	if c.x == nil {
		return nil
	}
	return c.x.rare
}

func (c *cell) is(p Phase) bool { return c.at() == p }
func (c *cell) at() Phase       { return Phase(c.phase.Load()) }

// setPhase moves on. An actor that was abandoned meanwhile stays abandoned: false.
func (c *cell) setPhase(p Phase) bool {
	for {
		o := c.phase.Load()
		if Phase(o) >= Ended {
			return false
		}
		if c.phase.CompareAndSwap(o, uint32(p)) {
			return true
		}
	}
}

// closing says that a Stop of a child is meant: the parent restarts, stops or is gone.
func (c *cell) closing() bool { return c.at() >= Restarting }

// path is the actor's place in the tree. A cell with a parent has one once it is registered.
func (c *cell) path() string {
	if c.parent == nil {
		return c.name // self may be being set
	}
	return c.self.Id
}

// pid is for callers that may come before the registration.
func (c *cell) pid() *actor.PID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.self
}

// ---- proto.actor's Mailbox ----

// RegisterHandlers learns whose mailbox this is: the invoker is the actor's context.
func (c *cell) RegisterHandlers(inv actor.MessageInvoker, _ actor.Dispatcher) {
	ctx := inv.(actor.Context)
	c.mu.Lock()
	c.inv, c.self = inv, ctx.Self()
	if w, ok := ctx.Actor().(*wrapper); ok {
		w.c, c.wrap = c, w
	}
	var slot *Slot
	if r := c.seen(); r != nil {
		slot, r.slot = r.slot, nil
	}
	c.mu.Unlock()
	if slot != nil {
		// The actor can be reached from here on; what comes before it runs waits.
		defer slot.cur.Store(c)
	}
	p := c.parent
	if p == nil {
		return
	}
	p.mu.Lock()
	x := p.ext()
	x.lastSeq++
	c.seq = x.lastSeq
	c.name = c.self.Id[len(p.self.Id)+1:] // shares the memory of the Id
	x.kids.add(c)
	gone := p.dead
	p.mu.Unlock()
	if gone { // abandoned while it was spawning
		c.rt.adopt(c)
		c.stopNow()
	}
}

// Start is called by the spawner after Started was posted, so that Started is always first.
func (c *cell) Start() {
	c.mu.Lock()
	c.run, c.turnAt = runQueued, c.born
	follows := c.pol.Follow && c.parent != nil && c.follow(c.parent.worker)
	c.mu.Unlock()
	if follows || c.eager() {
		return // the worker of its parent runs it, or Spawn does
	}
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
// Watchers are kept here and not in proto.actor, so that each is told exactly once, whether the
// actor ends or is abandoned.
func (c *cell) PostSystemMessage(m any) {
	c.mu.Lock()
	switch m := m.(type) {
	case *actor.Watch:
		c.watched(m.Watcher)
		return
	case *actor.Unwatch:
		if r := c.seen(); r != nil {
			r.watchers = slices.DeleteFunc(r.watchers, m.Watcher.Equal)
		}
		c.mu.Unlock()
		return
	case *actor.Stop:
		if !c.dead {
			c.rt.reaper.watch(c, &c.rt.reaper.stops)
		}
	case *actor.Terminated:
		if c.dead { // a child of an abandoned actor has ended
			if k := c.x.child(m.Who); k != nil && k.self == m.Who {
				c.x.kids.remove(k)
			}
		}
	}
	if c.dead {
		c.mu.Unlock()
		return
	}
	c.sys.push(m)
	if c.run == runIdle {
		c.turnAt = c.rt.host.nano()
		if t, ok := m.(*actor.Terminated); ok && c.follow(c.x.endedBy(t.Who)) {
			c.mu.Unlock()
			return
		}
	}
	c.schedule()
}

// follow has an idle actor run on w when that one is through with what it runs. It is called with mu
// held, by the goroutine of w.
func (c *cell) follow(w *worker) bool {
	if w == nil || !c.rt.inline {
		return false // in a simulation the order of turns is drawn
	}
	place := &w.next
	if w.pump && !c.pol.Inline {
		if !w.lends || !c.pol.Pace.quick() {
			return false
		}
		place = &w.lent
	}
	if *place != nil {
		return false
	}
	c.run, *place = runQueued, c
	return true
}

// watched is called with mu held and gives it up.
func (c *cell) watched(w *actor.PID) {
	if c.dead {
		self := c.self
		c.mu.Unlock()
		c.rt.sendSystem(w, &actor.Terminated{Who: self})
		return
	}
	defer c.mu.Unlock()
	if c.parent != nil && c.parent.self.Equal(w) {
		return // is told anyway
	}
	r := c.seldom()
	if !slices.ContainsFunc(r.watchers, w.Equal) {
		r.watchers = append(r.watchers, w)
	}
}

// wake schedules an idle actor that has got a message, which is dated. It is called with mu held
// and gives it up.
func (c *cell) wake() {
	if c.run == runIdle {
		c.turnAt = max(c.control.since, c.data.since)
	}
	c.schedule()
}

// schedule is called with mu held and gives it up.
func (c *cell) schedule() {
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
	if err := c.postable(); err != nil {
		return err
	}
	c.control.push(m, c.rt.host.nano)
	c.wake()
	return nil
}

// postable is called with mu held and gives it up if there is an error.
func (c *cell) postable() error {
	if err := c.closedErr(); err != nil {
		c.mu.Unlock()
		return err
	}
	if c.control.n >= c.pol.Mailbox.control() {
		c.mu.Unlock()
		c.stopNow()
		return ErrMailboxFull
	}
	return nil
}

// closedErr is called with mu held.
func (c *cell) closedErr() error {
	switch {
	case c.is(Abandoned):
		return ErrAbandoned
	case c.dead, c.is(Stopping):
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
	c.seldom().refused++
	switch c.pol.Mailbox.Full {
	case Drop:
		c.mu.Unlock()
		discard(m, ErrMailboxFull)
		return nil
	case Coalesce:
		old, ok := c.coalesce(m)
		if ok {
			discard(old, ErrMailboxFull)
			return nil
		}
	case StopActor:
		c.mu.Unlock()
		c.stopNow()
	default:
		c.mu.Unlock()
	}
	return ErrMailboxFull
}

// coalesce is called with mu held and gives it up, whatever the message's own key does.
func (c *cell) coalesce(m any) (old any, ok bool) {
	defer c.mu.Unlock()
	k, ok := m.(Coalescer)
	if !ok {
		return nil, false
	}
	key := k.CoalesceKey()
	return c.data.replace(m, func(o any) bool {
		o2, ok := o.(Coalescer)
		return ok && o2.CoalesceKey() == key
	})
}

// lead is offer by a goroutine that has the time to run what follows, too. If it lends itself, it gets what
// runs users' code back, to be run or posted.
func (c *cell) lead(m any, lends bool) (rest *cell, err error) {
	w := pumping.Get().(*worker)
	w.lends = lends
	clean := false
	defer func() {
		if clean {
			pumping.Put(w)
			return
		}
		w.leave() // runtime.Goexit in a turn ends this goroutine
	}()
	err = c.offer(m, w)
	w.run(w.take())
	rest, w.lent = w.lent, nil
	clean = true
	return rest, err
}

// hand is postControl by the turn of another actor. If there is a goroutine to run this one when that
// turn is through, no worker is woken for it.
func (c *cell) hand(m any, by *cell) error {
	c.mu.Lock()
	if err := c.postable(); err != nil {
		return err
	}
	c.control.push(m, c.rt.host.nano)
	if c.run == runIdle && (c.pol.Inline || c.pol.Pace.quick()) && by != nil && !by.more { // else it would wait for all of them
		c.turnAt = c.control.since
		if c.follow(by.worker) {
			c.mu.Unlock()
			return nil
		}
	}
	c.wake()
	return nil
}

// offer handles m on the caller's goroutine if the actor is idle and made for it, and queues
// it else. w is that goroutine's, if it has one.
func (c *cell) offer(m any, w *worker) error {
	if !c.pol.Inline || !c.rt.inline {
		return c.postData(m)
	}
	c.mu.Lock()
	// For an idle actor that is not suspended nothing waits.
	if c.run != runIdle || c.susp || c.dead || c.refuse {
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
	c.turns++
	c.turnAt = c.rt.host.nano()
	c.worker = w
	c.mu.Unlock()
	c.inlineTurn(m, w)
	return nil
}

// undelivered tells whoever waits for m that it was not received.
func (c *cell) undelivered(m any, why error) {
	e, stock := m.(*actor.MessageEnvelope)
	if stock {
		m = e.Message
	}
	if d, ok := m.(Discarder); ok {
		c.rt.guard(c.pol.Kind, m, func() { d.Discard(why) })
	}
	if stock && e.Sender != nil {
		// Answers the sender of a stock request.
		c.rt.guard(c.pol.Kind, m, func() { c.rt.sys.DeadLetter.SendUserMessage(c.pid(), e) })
	}
}

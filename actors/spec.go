package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Spec says what to spawn and how it is to live. The zero value of every field but New works.
type Spec struct {
	// Name is unique among siblings; "" makes one from Kind and a number. Outsiders must not
	// choose names. It must not contain "/".
	Name string
	// Kind is what this actor is ("session"), for people and metrics. Default: Name.
	Kind string
	// New makes one incarnation. It runs in the actor's own first turn: a panic in it is a
	// failure of this actor, not of its parent.
	New func() actor.Actor
	// Mailbox bounds what may wait for the actor.
	Mailbox Mailbox
	// Restart says what becomes of the actor when it fails. Default: Permanent.
	Restart Restart
	// Children is how this actor supervises the actors that it spawns.
	Children Strategy
	// StopOrdered stops the children one after another, last spawned first, instead of all
	// at once. Each has StopTimeout. The actor itself is told Stopping after the last of
	// them. In a restart children stop all at once.
	StopOrdered bool
	// StopTimeout is how long StopOrdered waits for one child before it goes on. Default 2 s.
	StopTimeout time.Duration
	// Inline lets Offer and Lead run a turn on the sender's goroutine, and Hand on that of the turn in
	// which it is called. For built-in actors only, whose turns are bounded and never call user code.
	Inline bool
	// Eager has whoever spawns the actor run its first turn, before Spawn returns. For built-in
	// actors only, as Inline. It is no promise: in a simulation, and for roots, nobody does.
	Eager bool
	// Follow has the worker that runs the parent's turn run the first turn when that one is through,
	// in place of another one that has to be woken. For children of built-in actors, whose turns are
	// bounded. Where a pump leads the parent's turn, it is for Inline children only; a Lender does it for
	// those that have a Pace, too.
	Follow bool
	// Pace, of which actors of one kind share one, lets a Lender run turns, and Hand run them on the
	// worker on which it is called, while the last ones have been short. What they run may be anybody's.
	// Default: SlowPace.
	Pace *Pace
	// Slot, if set, is the place that the actor takes: references to it reach this actor.
	Slot *Slot
}

// Mailbox bounds an actor's mailbox. There are two lanes. Control carries what the node itself
// tells the actor (timers, task results, answers); Data carries what others feed it.
type Mailbox struct {
	// Data is the number of data messages that may wait. Default 1024.
	Data int
	// Full says what happens to a data message that finds Data waiting. Default Refuse.
	Full Full
	// Control is the number of control messages that may wait. An actor with more is broken
	// or under attack and is stopped. Default 65536.
	Control int
}

const (
	defaultData    = 1024
	defaultControl = 1 << 16
	maxLane        = 1 << 30
)

func (m Mailbox) data() int32 {
	if m.Data > 0 {
		return int32(min(m.Data, maxLane))
	}
	return defaultData
}

func (m Mailbox) control() int32 {
	if m.Control > 0 {
		return int32(min(m.Control, maxLane))
	}
	return defaultControl
}

// Full is an overflow rule.
type Full uint8

const (
	// Refuse discards the new message with ErrMailboxFull, which answers a pending Ask.
	Refuse Full = iota
	// Drop discards the new message and only counts it.
	Drop
	// Coalesce replaces the newest waiting message that has the same CoalesceKey; a message
	// without a twin is refused.
	Coalesce
	// StopActor stops the actor: its owner sees that it ended.
	StopActor
)

// Coalescer is a message that may replace an older one with an equal key.
type Coalescer interface{ CoalesceKey() any }

// Discarder is a message that wants to know that it will never be received: because its
// receiver is gone, its mailbox is full, or the receiver failed while it handled the message.
// Discard may run on any goroutine and must neither block nor panic; it gives back what the
// message holds.
type Discarder interface{ Discard(why error) }

// Finisher is a message that wants to know that its receiver's Receive has returned from it.
// Finish runs in that turn. After a panic Discard is called instead.
type Finisher interface{ Finish() }

func discard(m any, why error) {
	if d, ok := m.(Discarder); ok {
		d.Discard(why)
	}
}

// Restart says what becomes of an actor when it fails or stops by itself.
type Restart uint8

const (
	// Permanent actors are restarted whenever they fail or are stopped by anyone but their
	// supervisor: by Ref.Stop or with their parent.
	Permanent Restart = iota
	// Transient actors are restarted when they fail; an orderly stop is their end.
	Transient
	// Temporary actors are never restarted: a failure stops them.
	Temporary
)

func (r Restart) String() string {
	return [...]string{"permanent", "transient", "temporary"}[r]
}

package actors

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/extensions"
)

// Options of a live runtime. The zero value works.
type Options struct {
	// Logger takes what proto.actor itself logs. Default: nothing is logged.
	Logger *slog.Logger
	// StuckAfter is how long an actor may stay inside one message after its stop before it is
	// abandoned. Default 500 ms.
	StuckAfter time.Duration
	// Workers is the number of idle worker goroutines that are kept. Default 64. More run
	// when more actors are busy.
	Workers int
}

const defaultWorkers = 64

// Runtime owns one proto.actor system, the clock, the timers, the dispatcher and the source of
// randomness. Any number of nodes live in one runtime, each as one root actor.
type Runtime struct {
	sys     *actor.ActorSystem
	host    host
	sim     *Simulation // nil: live
	inline  bool        // Offer may run turns on the caller's goroutine
	reaper  reaper
	lenders lenders
	graves  graveyard

	spawners [spawnShards]spawner

	polMu    sync.RWMutex
	policies map[policy]*policy
	spawned  atomic.Uint64 // actors without a name of their own
	named    atomic.Uint64 // of NextName

	mu        sync.Mutex
	roots     []*cell
	rootSeq   uint32
	abandoned map[*cell]struct{} // until they return
	orphans   map[*cell]struct{} // children of the abandoned, until they end
	strays    map[*Task]struct{} // tasks that outlived their owner
	pumps     map[*pump]struct{}
	idle      *sync.Cond // signalled when one of the above shrinks
	closed    bool
	listeners atomic.Pointer[[]*func(Event)] // replaced as a whole under mu
}

// extensionID finds the runtime of an actor system.
var extensionID = extensions.NextExtensionID()

// ExtensionID implements proto.actor's Extension.
func (rt *Runtime) ExtensionID() extensions.ExtensionID { return extensionID }

// Live makes a runtime of real time and real goroutines.
func Live(o Options) *Runtime {
	if o.Workers <= 0 {
		o.Workers = defaultWorkers
	}
	return newRuntime(newLive(o.Workers), true, o)
}

func newRuntime(h host, inline bool, o Options) *Runtime {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.StuckAfter <= 0 {
		o.StuckAfter = 500 * time.Millisecond
	}
	rt := &Runtime{
		host:      h,
		inline:    inline,
		policies:  map[policy]*policy{},
		abandoned: map[*cell]struct{}{},
		orphans:   map[*cell]struct{}{},
		strays:    map[*Task]struct{}{},
		pumps:     map[*pump]struct{}{},
	}
	rt.idle = sync.NewCond(&rt.mu)
	rt.reaper.init(rt, o.StuckAfter)
	rt.lenders.init(rt)
	rt.sys = actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return o.Logger }))
	// proto.actor makes 1,024 maps of 32 small maps each: 2.7 MB before there is any actor, and a map
	// that is hardly used for almost every one of the first thousands.
	pids := rt.sys.ProcessRegistry.LocalPIDs
	pids.LocalPIDs = slices.Clone(pids.LocalPIDs[:registryMaps])
	// A random address: a PID decoded from the wire must never look local.
	var token [16]byte
	_, _ = io.ReadFull(rand.Reader, token[:])
	rt.sys.ProcessRegistry.Address = "troupe-" + hex.EncodeToString(token[:])
	rt.sys.Extensions.Register(rt)
	for i := range rt.spawners {
		rt.spawners[i].init()
	}
	return rt
}

// registryMaps is how many maps of 32 shards, each with a lock, hold the actors of a runtime.
const registryMaps = 8

// System is proto.actor's own view of the runtime, for code that needs PIDs. Shutdown must not
// be called on it.
func (rt *Runtime) System() *actor.ActorSystem { return rt.sys }

// Now is the runtime's clock.
func (rt *Runtime) Now() time.Time { return rt.host.now() }

// Rand is the runtime's source of randomness, fit for keys.
func (rt *Runtime) Rand() io.Reader { return rt.host.rand() }

// Float is in [0, 1), for jitter.
func (rt *Runtime) Float() float64 { return rt.host.float() }

// AfterFunc runs f after d on a goroutine of its own; f must not block. stop prevents a call
// that has not begun. Actors use a Timer instead.
func (rt *Runtime) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	return rt.host.afterFunc(d, func() { rt.guard("timer", nil, f) }).Stop
}

// guard runs code that belongs to no actor in a place where a panic would cost the process or an
// innocent actor. The panic is put on record.
func (rt *Runtime) guard(kind string, m any, f func()) {
	defer func() {
		if r := recover(); r != nil {
			rt.record(&PanicError{Path: kind, Value: r, Message: fmt.Sprintf("%T", m), At: rt.host.now(), Stack: debug.Stack()}, kind)
		}
	}()
	f()
}

// record remembers a panic and tells the listeners.
func (rt *Runtime) record(pe *PanicError, kind string) {
	rt.graves.failure(pe)
	rt.notify(Event{Kind: EventFailed, Path: pe.Path, Actor: kind, Err: pe})
}

func (rt *Runtime) sendSystem(to *actor.PID, m any) {
	if p, ok := rt.sys.ProcessRegistry.Get(to); ok {
		p.SendSystemMessage(to, m)
	}
}

// rootParkFor is how long a root waits that failed too often.
const rootParkFor = 10 * time.Second

func (rt *Runtime) ended(c *cell, cause error) {
	rt.graves.bury(rt, c, cause)
	if p := c.parent; p == nil || p.is(Abandoned) {
		rt.mu.Lock()
		delete(rt.orphans, c)
		rt.dropRoot(c)
		rt.idle.Broadcast()
		rt.mu.Unlock()
	}
	rt.notify(Event{Kind: EventEnded, Path: c.path(), Actor: c.pol.Kind, Err: cause})
}

// dropRoot is called with rt.mu held.
func (rt *Runtime) dropRoot(c *cell) {
	if i := slices.Index(rt.roots, c); i >= 0 {
		rt.roots = slices.Delete(rt.roots, i, i+1)
	}
}

// lost has Close wait for an abandoned actor. It is called with c.mu held.
func (rt *Runtime) lost(c *cell) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	rt.abandoned[c] = struct{}{}
	delete(rt.orphans, c)
	rt.dropRoot(c)
}

// returned notes that an abandoned actor came back from its handler.
func (rt *Runtime) returned(c *cell) {
	rt.mu.Lock()
	delete(rt.abandoned, c)
	rt.idle.Broadcast()
	rt.mu.Unlock()
}

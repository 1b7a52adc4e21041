// Package admission decides which half-open inbound connections live when there are more than
// slots for them.
//
//	connection accepted -> Admit    always gets a slot; when all are taken another connection loses its own
//	handshake goes on   -> Progress moves it to a later stage
//	secured or failed   -> Done     frees the slot
//
// A newcomer is never refused: refusing is what lets a flood of silent connections keep honest
// peers out, because the flood is there already and the honest peer is the newcomer. Instead the
// slot of whoever is least likely to be honest is taken, by these rules in this order:
//
//  1. A source that holds more than a quarter of the slots pays, before anybody else does: a
//     flood from one address leaves every other address alone.
//  2. Among those that may pay, the lowest stage does: who has sent nothing before who is in
//     the middle of a handshake. Going further costs an attacker work, standing still nothing.
//  3. But not a stage that has less than a quarter of them. Otherwise a flood that reaches a
//     later stage would make every honest newcomer the lowest, hence the next victim.
//  4. In that stage whoever has stood still longest pays. A handshake that goes on has left
//     it long before.
//
// With the default of 512 slots and a flood of 20,000 silent connections a second, a peer has
// 25 ms for its first byte and any time for the rest; if the flood is spread over the stages,
// 19 ms for each. Every operation is O(log n) at most, and none walks a map.
package admission

import (
	"net/netip"
	"time"

	"github.com/troupe-p2p/troupe/internal/bound"
	"github.com/troupe-p2p/troupe/internal/tally"
)

// Stage says how far a handshake has come.
type Stage uint8

const (
	// Silent connections have not sent a byte.
	Silent Stage = iota
	// Speaking connections have sent something: a proposal of a security protocol.
	Speaking
	// Securing connections agreed on a security protocol and are in its handshake.
	Securing
	// Secured connections have proved their peer ID and agree on a muxer.
	Secured

	stages = int(Secured) + 1
)

// DefaultSlots is the number of half-open connections held when Config does not say. A silent
// one costs about 10 KB, so the slots cost 5 MB at the worst.
const DefaultSlots = 512

// Config of a Table; the zero value is the default.
type Config struct {
	// Slots is the number of half-open inbound connections (Limits.HalfOpen). Default 512;
	// at least 1.
	Slots int
}

func (c Config) slots() int {
	if c.Slots == 0 {
		return DefaultSlots
	}
	return max(1, c.Slots)
}

// Bounds lists what a remote can fill, for the default configuration.
func Bounds() []bound.Bound {
	return []bound.Bound{
		{Name: "negotiation/admission: half-open inbound connections", Cap: DefaultSlots,
			Attack: "connections that never finish their handshake"},
		{Name: "negotiation/admission: prefixes remembered for their rate alone", Cap: maxRemembered,
			Attack: "one connection from each of endless IPv6 prefixes"},
	}
}

// Table holds the half-open inbound connections. It is owned by the Gate.
type Table struct {
	slots   int
	entries map[uint64]*entry // len <= slots
	stage   [stages]floor
	held    tally.Tally[netip.Prefix]
	free    *entry
	evicted [1]uint64
	stats   Stats
}

// Stats counts since the start.
type Stats struct {
	Admitted, Finished uint64
	// Evicted counts by the stage that the victims had reached.
	Evicted [stages]uint64
	// Half is the number of half-open connections by stage, now.
	Half [stages]int
}

// New returns an empty table.
func New(cfg Config) *Table {
	t := &Table{slots: cfg.slots(), entries: make(map[uint64]*entry)}
	for i := range t.stage {
		t.stage[i].sources = make(map[netip.Prefix]*list)
	}
	return t
}

// Admit takes a connection in and returns the connections that lose their slot for it, which
// the caller closes; no Done is needed for them. The slice is valid until the next call.
// source is addrs.LimitPrefix of the remote's IP; what has none (a relayed connection) shares the
// zero prefix.
// An id that is in the table already stays as it is.
func (t *Table) Admit(now time.Time, id uint64, source netip.Prefix) (evict []uint64) {
	if t.entries[id] != nil {
		return nil
	}
	if len(t.entries) >= t.slots {
		v := t.victim()
		t.stats.Evicted[v.stage]++
		t.evicted[0] = v.id
		evict = t.evicted[:]
		t.remove(v)
	}
	e := t.free
	if e != nil {
		t.free = e.next[byAge]
		*e = entry{}
	} else {
		e = new(entry)
	}
	e.id, e.source, e.at = id, source, now
	t.entries[id] = e
	t.stage[Silent].push(e)
	t.held.Add(source, 1)
	t.stats.Admitted++
	return evict
}

// Progress says that a connection has reached a stage. Only going forward counts, so that
// dripping bytes buys nothing.
func (t *Table) Progress(id uint64, to Stage) {
	e := t.entries[id]
	to = min(to, Secured)
	if e == nil || to <= e.stage {
		return
	}
	t.stage[e.stage].remove(e)
	e.stage = to
	t.stage[to].push(e)
}

// Done frees the slot of a connection, however its handshake ended. It reports whether the
// connection still had one.
func (t *Table) Done(id uint64) bool {
	e := t.entries[id]
	if e == nil {
		return false
	}
	t.stats.Finished++
	t.remove(e)
	return true
}

// Len is the number of half-open connections.
func (t *Table) Len() int { return len(t.entries) }

// Stats returns the counts so far.
func (t *Table) Stats() Stats {
	s := t.stats
	for i := range t.stage {
		s.Half[i] = t.stage[i].everybody.n
	}
	return s
}

// Oldest is how long the connection that has stood still longest has been in the table; it
// shows a flood (short) and a starved handshake (long).
func (t *Table) Oldest(now time.Time) time.Duration {
	var oldest time.Duration
	for i := range t.stage {
		if e := t.stage[i].everybody.head; e != nil {
			oldest = max(oldest, now.Sub(e.at))
		}
	}
	return oldest
}

// TopSource is the source that holds most half-open connections, and how many.
func (t *Table) TopSource() (netip.Prefix, int) { return t.held.Top() }

// victim is called with all slots taken. There are four stages, so one of them has a quarter.
func (t *Table) victim() *entry {
	source, most := t.held.Top()
	hog := most > t.slots/4
	all := len(t.entries)
	if hog {
		all = most
	}
	for i := range t.stage {
		l := &t.stage[i].everybody
		if hog {
			l = t.stage[i].sources[source]
		}
		if l != nil && l.n > 0 && l.n*stages >= all {
			return l.head
		}
	}
	panic("admission: a full table without a full stage")
}

func (t *Table) remove(e *entry) {
	t.stage[e.stage].remove(e)
	t.held.Add(e.source, -1)
	delete(t.entries, e.id)
	e.next[byAge], t.free = t.free, e
}

// floor holds the connections of one stage.
type floor struct {
	everybody list
	sources   map[netip.Prefix]*list // no empty lists
}

func (f *floor) push(e *entry) {
	l := f.sources[e.source]
	if l == nil {
		l = &list{by: bySource}
		f.sources[e.source] = l
	}
	f.everybody.push(e)
	l.push(e)
}

func (f *floor) remove(e *entry) {
	l := f.sources[e.source]
	f.everybody.remove(e)
	l.remove(e)
	if l.n == 0 {
		delete(f.sources, e.source)
	}
}

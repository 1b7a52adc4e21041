package limits

import (
	"errors"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/tally"
)

// Side says who wants to use something up.
type Side uint8

const (
	// Remote opened the connection or stream.
	Remote Side = iota
	// Local is this node.
	Local
)

// ErrStale is a command for a token that has been released.
var ErrStale = errors.New("limits: local: the reservation has ended")

// Token stands for one reservation. The zero Token is none.
type Token struct{ slot, gen uint32 }

// Account is the books of one node. It is owned by one actor; nobody else has a reference.
type Account struct {
	limits  Limits
	conns   meter
	dials   meter
	streams meter
	bytes   meter
	slots   []slot // slot 0 is never used, so that index 0 means none
	free    uint32
	stale   uint64
}

type kind uint8

const (
	unused kind = iota
	aConn
	aDial
	aStream
)

// slot is one reservation. A stream is in the list of its connection, so that the connection's
// end releases it.
type slot struct {
	gen        uint32
	kind       kind
	side       Side
	peer       identity.ID
	bytes      int
	streams    [2]int // of a connection, by Side
	conn       uint32
	first      uint32 // of a connection: its streams
	next, prev uint32 // siblings; next is also the list of free slots
}

// New returns books with nothing in them.
func New(l Limits) *Account {
	l = l.WithDefaults()
	return &Account{
		limits:  l,
		conns:   meter{limit: "Conns", unit: "connections", cap: l.Conns},
		dials:   meter{limit: "HalfOpenOut", unit: "dials", cap: l.HalfOpenOut},
		streams: meter{limit: "Streams", unit: "streams", cap: l.Streams},
		bytes:   meter{limit: "BufferBytes", unit: "buffered bytes", cap: l.BufferBytes},
		slots:   make([]slot, 1),
	}
}

// Limits returns the limits in force.
func (a *Account) Limits() Limits { return a.limits }

// Conn reserves an established connection with a peer that side opened.
func (a *Account) Conn(peer identity.ID, side Side) (Token, error) {
	if n := a.conns.by.Get(peer); n >= a.limits.ConnsPerPeer {
		return Token{}, Refusal{
			Limit: "ConnsPerPeer", Unit: "connections", Cap: a.limits.ConnsPerPeer, Used: n, Wanted: 1,
			Holder: peer, HolderUsed: n,
		}
	}
	if err := a.conns.take(peer, side); err != nil {
		return Token{}, err
	}
	return a.put(slot{kind: aConn, side: side, peer: peer}), nil
}

// Dial reserves a dial to a peer until its connection is established or has failed.
func (a *Account) Dial(peer identity.ID) (Token, error) {
	if err := a.dials.take(peer, Local); err != nil {
		return Token{}, err
	}
	return a.put(slot{kind: aDial, side: Local, peer: peer}), nil
}

// Stream reserves a stream on a connection that side opened.
func (a *Account) Stream(conn Token, side Side) (Token, error) {
	c := a.find(conn)
	if c == nil || c.kind != aConn {
		return Token{}, ErrStale
	}
	if n := c.streams[side]; n >= a.limits.StreamsPerConn {
		unit := "streams that it opened on a connection"
		if side == Local {
			unit = "streams that we opened on its connection"
		}
		return Token{}, Refusal{
			Limit: "StreamsPerConn", Unit: unit, Cap: a.limits.StreamsPerConn, Used: n, Wanted: 1,
			Holder: c.peer, HolderUsed: n,
		}
	}
	if err := a.streams.take(c.peer, side); err != nil {
		return Token{}, err
	}
	c.streams[side]++
	tok := a.put(slot{kind: aStream, side: side, peer: c.peer, conn: conn.slot})
	a.link(conn.slot, tok.slot)
	return tok, nil
}

// Hold says that n bytes in all are wanted for the buffers of a connection or stream. More than
// before may be refused, and then the token keeps what it had; less is always granted.
func (a *Account) Hold(tok Token, n int) error {
	s := a.find(tok)
	if s == nil {
		return ErrStale
	}
	n = max(0, n)
	if more := n - s.bytes; more > a.bytes.cap-a.bytes.used {
		return a.bytes.refuse(more)
	}
	a.bytes.used += n - s.bytes
	a.bytes.by.Add(s.peer, n-s.bytes)
	s.bytes = n
	return nil
}

// Release ends a reservation, with a connection also its streams, and with each its bytes. It
// reports whether there was anything to release.
func (a *Account) Release(tok Token) bool {
	s := a.find(tok)
	if s == nil {
		a.stale++
		return false
	}
	for s.first != 0 {
		a.end(s.first)
	}
	a.end(tok.slot)
	return true
}

// Stale is how many releases came for tokens that had ended before.
func (a *Account) Stale() uint64 { return a.stale }

// Usage is the state of one limit.
type Usage struct {
	Limit      string
	Used, Cap  int
	Holder     identity.ID // who holds most
	HolderUsed int
}

// Usage returns the limits that are counted for the whole node.
func (a *Account) Usage() []Usage {
	var all []Usage
	for _, m := range []*meter{&a.conns, &a.dials, &a.streams, &a.bytes} {
		holder, n := m.by.Top()
		all = append(all, Usage{Limit: m.limit, Used: m.used, Cap: m.cap, Holder: holder, HolderUsed: n})
	}
	return all
}

// Counts returns how many connections and dials there are.
func (a *Account) Counts() (conns, dials int) { return a.conns.used, a.dials.used }

// Of returns what one peer holds.
func (a *Account) Of(peer identity.ID) (conns, streams, bytes int) {
	return a.conns.by.Get(peer), a.streams.by.Get(peer), a.bytes.by.Get(peer)
}

func (a *Account) find(tok Token) *slot {
	if tok.slot == 0 || int(tok.slot) >= len(a.slots) {
		return nil
	}
	s := &a.slots[tok.slot]
	if s.gen != tok.gen || s.kind == unused {
		return nil
	}
	return s
}

func (a *Account) put(s slot) Token {
	i := a.free
	if i != 0 {
		a.free = a.slots[i].next
	} else {
		i = uint32(len(a.slots))
		a.slots = append(a.slots, slot{})
	}
	s.gen = a.slots[i].gen + 1
	a.slots[i] = s
	return Token{slot: i, gen: s.gen}
}

// end releases slot i, which has no streams.
func (a *Account) end(i uint32) {
	s := &a.slots[i]
	switch s.kind {
	case aConn:
		a.conns.give(s.peer, s.side)
	case aDial:
		a.dials.give(s.peer, s.side)
	case aStream:
		a.streams.give(s.peer, s.side)
		a.slots[s.conn].streams[s.side]--
		a.unlink(i)
	default: // unused
	}
	a.bytes.used -= s.bytes
	a.bytes.by.Add(s.peer, -s.bytes)
	*s = slot{gen: s.gen, next: a.free}
	a.free = i
}

func (a *Account) link(conn, i uint32) {
	next := a.slots[conn].first
	a.slots[i].next = next
	if next != 0 {
		a.slots[next].prev = i
	}
	a.slots[conn].first = i
}

func (a *Account) unlink(i uint32) {
	s := &a.slots[i]
	if s.prev != 0 {
		a.slots[s.prev].next = s.next
	} else {
		a.slots[s.conn].first = s.next
	}
	if s.next != 0 {
		a.slots[s.next].prev = s.prev
	}
}

// meter counts one thing for the whole node.
type meter struct {
	limit, unit string
	cap, used   int
	remote      int // of used
	by          tally.Tally[identity.ID]
}

func (m *meter) take(peer identity.ID, side Side) error {
	if m.used >= m.cap {
		return m.refuse(1)
	}
	if side == Remote {
		if room := forRemotes(m.cap); m.remote >= room {
			r := m.refuse(1)
			r.Unit, r.Cap, r.Used = "inbound "+m.unit, room, m.remote
			return r
		}
		m.remote++
	}
	m.used++
	m.by.Add(peer, 1)
	return nil
}

func (m *meter) give(peer identity.ID, side Side) {
	if side == Remote {
		m.remote--
	}
	m.used--
	m.by.Add(peer, -1)
}

func (m *meter) refuse(wanted int) Refusal {
	holder, n := m.by.Top()
	return Refusal{Limit: m.limit, Unit: m.unit, Cap: m.cap, Used: m.used, Wanted: wanted, Holder: holder, HolderUsed: n}
}

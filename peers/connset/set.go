// Package connset keeps the connections with one peer and the opens that wait for one.
//
//	session is up          -> Add       waiting opens become Ready; older connections are Probed
//	identify has its say   -> Identified
//	session heard from     -> Alive
//	streams come and go    -> StreamOpened, StreamEnded
//	somebody wants one     -> Open      Best connection at once, or Ready, or Failed
//	time                   -> HandleTimeout   spare connections are Closed
//	session has ended      -> Remove
//
// Two peers that dial each other at the same time end up with two connections. Libp2p has no
// rule for that. go-libp2p keeps both, so with any peer we keep both, open our streams on the
// older one, and close the other only when it has carried no stream for a while. Two nodes that
// both announce Rule in identify agree on more: the connection dialled by the smaller peer ID
// stays, and whoever dialled the other closes it as soon as it carries nothing.
//
// A connection that is older than another is in doubt until it shows a sign of life: a peer that
// has restarted dials anew while its old connection looks alive here for another 40 seconds.
package connset

import (
	"errors"
	"fmt"
	"time"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/bound"
)

const (
	// Rule is announced among the protocols of identify by nodes that keep the rule above.
	// No stream is ever opened for it.
	Rule = "/troupe/connset/1.0.0"

	// CodeLimit, CodeSupplanted and CodeEvicted are go-libp2p's connection error codes.
	CodeLimit      uint32 = 0x1001
	CodeSupplanted uint32 = 0x1004
	CodeEvicted    uint32 = 0x1005 // ConnGarbageCollected there

	// DefaultCap is the number of connections with one peer when Config does not say.
	DefaultCap = 8
	// maxWaiting bounds the opens that wait for a connection. It stops a program that keeps
	// asking for a peer whose address swallows every dial.
	maxWaiting = 1024
)

var (
	// ErrFull refuses a connection to a peer that has as many as it may have, all in use.
	ErrFull = errors.New("limit: the peer has as many connections as it may have")
	// ErrWaiting refuses an open because too many wait already.
	ErrWaiting = fmt.Errorf("limit: %d opens wait for a connection with the peer", maxWaiting)
	// ErrNoConnection is an open whose time ran out before there was a connection.
	ErrNoConnection = errors.New("local: no connection with the peer in time")
)

// Config of a Set; only Self and Peer are needed.
type Config struct {
	Self, Peer identity.ID
	// Cap is the number of connections (Limits.ConnsPerPeer). Default 8.
	Cap int
	// SpareIdle is how long a spare connection carries no stream before it is closed.
	// Default 30 s. The node with the larger peer ID waits twice as long, so that two nodes
	// that see a different connection as the spare one do not close both.
	SpareIdle time.Duration
	// AgreedIdle is the same between two nodes that keep Rule. Default 1 s: enough for the
	// streams that were under way when the other side learnt of it.
	AgreedIdle time.Duration
}

// Conn is a live connection.
type Conn struct {
	ID       uint64 // chosen by the owner
	Outbound bool   // we dialled it
	Relayed  bool
}

// Event is what a Set asks its owner to do: Close, Probe, Ready or Failed.
type Event interface{ event() }

// Close ends a connection. What it held of the node's limits may be released at once.
type Close struct {
	ID     uint64
	Code   uint32
	Reason string
}

// Probe asks whether a connection still answers: send a ping, and call Alive if it does.
type Probe struct{ ID uint64 }

// Ready gives a waiting open its connection.
type Ready struct{ Req, Conn uint64 }

// Failed ends a waiting open.
type Failed struct {
	Req uint64
	Err error
}

func (Close) event()  {}
func (Probe) event()  {}
func (Ready) event()  {}
func (Failed) event() {}

// Set holds the connections with one peer. It is owned by the peer's actor.
type Set struct {
	cfg     Config
	conns   []*conn // oldest first; len <= cfg.Cap, without those that are closing
	waiting []Open  // in order of arrival; len <= maxWaiting
	agreed  bool    // the peer announces Rule
	events  []Event
}

type conn struct {
	Conn
	since   time.Time // added
	quiet   time.Time // without a stream since
	streams int
	doubt   bool
}

// New returns an empty Set.
func New(cfg Config) *Set {
	if cfg.Cap <= 0 {
		cfg.Cap = DefaultCap
	}
	if cfg.SpareIdle <= 0 {
		cfg.SpareIdle = 30 * time.Second
	}
	if cfg.AgreedIdle <= 0 {
		cfg.AgreedIdle = time.Second
	}
	return &Set{cfg: cfg}
}

// Bounds lists what a remote can fill.
func Bounds() []bound.Bound {
	return []bound.Bound{
		{Name: "peers/connset: connections of one peer", Cap: DefaultCap, Attack: "endless connections of one identity"},
		{Name: "peers/connset: opens that wait for one peer", Cap: maxWaiting, Attack: "an address that swallows every dial"},
	}
}

// Add takes in a connection whose session is up. When the set is full, the spare connection that
// has been quiet longest makes room; if every one is in use the newcomer is refused, and the
// owner closes it with CodeLimit.
func (s *Set) Add(now time.Time, c Conn) error {
	if s.find(c.ID) != nil {
		return nil
	}
	if len(s.conns) >= s.cfg.Cap {
		v := s.quietest()
		if v == nil {
			return ErrFull
		}
		s.close(v, "made room for a newer connection")
	}
	for _, old := range s.conns {
		if !old.doubt {
			old.doubt = true
			s.emit(Probe{ID: old.ID})
		}
	}
	s.conns = append(s.conns, &conn{Conn: c, since: now, quiet: now})
	s.serve()
	return nil
}

// Remove forgets a connection that has ended.
func (s *Set) Remove(id uint64) {
	for i, c := range s.conns {
		if c.ID == id {
			s.conns = append(s.conns[:i], s.conns[i+1:]...)
			return
		}
	}
}

// Identified says whether the peer announces Rule.
func (s *Set) Identified(agrees bool) { s.agreed = agrees }

// Alive says that a connection was heard from after it was last probed.
func (s *Set) Alive(id uint64) {
	if c := s.find(id); c != nil {
		c.doubt = false
	}
}

// StreamOpened counts a stream on a connection, whoever opened it.
func (s *Set) StreamOpened(id uint64) {
	if c := s.find(id); c != nil {
		c.streams++
	}
}

// StreamEnded counts it off.
func (s *Set) StreamEnded(now time.Time, id uint64) {
	if c := s.find(id); c != nil && c.streams > 0 {
		c.streams--
		if c.streams == 0 {
			c.quiet = now
		}
	}
}

// Len is the number of connections, without those that are being closed.
func (s *Set) Len() int { return len(s.conns) }

// Next returns the next event.
func (s *Set) Next() (Event, bool) {
	if len(s.events) == 0 {
		s.events = nil
		return nil, false
	}
	e := s.events[0]
	s.events = s.events[1:]
	return e, true
}

func (s *Set) emit(e Event) { s.events = append(s.events, e) }

func (s *Set) find(id uint64) *conn {
	for _, c := range s.conns {
		if c.ID == id {
			return c
		}
	}
	return nil
}

func (s *Set) close(c *conn, reason string) {
	s.Remove(c.ID)
	s.emit(Close{ID: c.ID, Code: CodeSupplanted, Reason: reason})
}

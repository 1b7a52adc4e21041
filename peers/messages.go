package peers

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/peers/dialplan"
	"github.com/troupe-p2p/troupe/stream"

	ma "github.com/multiformats/go-multiaddr"
)

// ledger is what must outlive a failure of a peer's actor. It belongs to that actor, one
// incarnation after the other, but for settled.
type ledger struct {
	// settled counts the messages from peers that were received, or lost on the way.
	settled atomic.Uint64
	conns   conns  // until their ends were told
	dials   uint64 // so far: a late answer to a dial before the failure must not count
	backoff dialplan.Backoff
}

// given is a message from peers. Both sides count them: peers stops an idle actor only if
// everything that it was given was settled before it said that it was idle.
type given struct {
	messages.Peer
	m       any
	to      *ledger
	settled bool
}

func (g *given) settle() {
	if !g.settled {
		g.settled = true
		g.to.settled.Add(1)
	}
}

// Discard implements actors.Discarder.
func (g *given) Discard(why error) {
	g.settle()
	if d, ok := g.m.(actors.Discarder); ok {
		d.Discard(why)
	}
}

// What peers gives a peer, beside *messages.Open and *messages.LinkRefused.
type (
	dialOn struct {
		m *messages.Dial
		// link is on its way already, and the answer if it is admitted; nil: dial for one.
		link *messages.Link
	}
	addLink struct {
		conn  *stream.Conn
		link  *messages.Link
		use   *use
		from  actors.Ref[messages.Peers]
		taken bool // the link belongs to a connection now
	}
	identifiedOn struct {
		conn      uint64
		protocols []string
	}
	// announceOn asks for a ConnUp of every connection.
	announceOn struct{}
	// evictOn closes a connection to make room for another.
	evictOn struct {
		conn uint64
		why  error
	}
	hangupOn struct {
		code   uint32
		reason string
	}
	// granted lets an attempt begin, or says why it never will.
	granted struct {
		attempt uint64
		err     error
	}
)

// Discard implements actors.Discarder.
func (m *dialOn) Discard(why error) { m.m.Reply.Fail(why) }

// Discard implements actors.Discarder. What was reserved for the connection is free.
func (m *addLink) Discard(error) {
	if !m.taken {
		m.link.Close()
		_ = m.from.Control(&messages.ConnReleased{Peer: m.conn.Peer, Conn: m.conn.ID})
	}
}

// What a peer tells peers, beside messages.PeerIdle and its like: an attempt wants to begin, and
// is over.
type (
	dialWanted struct {
		messages.Peers
		peer    identity.ID
		attempt uint64
		addr    ma.Multiaddr
	}
	dialOver struct {
		messages.Peers
		peer    identity.ID
		attempt uint64
		addr    ma.Multiaddr // nil: it says nothing of its address
		outcome dialplan.Outcome
		took    time.Duration
	}
)

// What the actors of this package tell themselves.
type (
	tick struct {
		messages.Peer
		messages.Peers
	}
	// unwanted: who asked for it waits no longer.
	unwanted struct {
		messages.Peer
		messages.Peers
		req uint64
	}
	// found are the addresses that the peerstore knows.
	found struct {
		messages.Peer
		dial  uint64
		addrs []ma.Multiaddr
		err   error
	}
	// resolved are addresses without names.
	resolved struct {
		messages.Peer
		dial    uint64
		addrs   []ma.Multiaddr
		skipped []dialplan.Skipped
	}
	connOver struct {
		messages.Peer
		name string
	}
	probed struct {
		messages.Peer
		conn uint64
		err  error
	}
)

// Resolver turns the DNS names of an address into addresses. It blocks until ctx is done.
type Resolver func(ctx context.Context, a ma.Multiaddr) ([]ma.Multiaddr, error)

package peers

import (
	"context"

	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/peers/dialplan"
	"github.com/troupe-p2p/troupe/stream"

	ma "github.com/multiformats/go-multiaddr"
)

// What peers tells a peer.
type (
	openOn struct {
		messages.Peer
		m *messages.Open
	}
	dialOn struct {
		messages.Peer
		m      *messages.Dial
		linked bool // a link is on its way already
	}
	addLink struct {
		messages.Peer
		conn *stream.Conn
		link *messages.Link
	}
	identifiedOn struct {
		messages.Peer
		conn      uint64
		protocols []string
	}
	// announceOn asks for a ConnUp of every connection.
	announceOn struct{ messages.Peer }
	hangupOn   struct {
		messages.Peer
		code   uint32
		reason string
	}
)

// Discard implements actors.Discarder.
func (m *openOn) Discard(why error) { m.m.Reply.Fail(why) }

// Discard implements actors.Discarder.
func (m *dialOn) Discard(why error) { m.m.Reply.Fail(why) }

// Discard implements actors.Discarder.
func (m *addLink) Discard(error) { m.link.Close() }

// What a peer tells itself.
type (
	tick struct{ messages.Peer }
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
	probed struct {
		messages.Peer
		conn uint64
		err  error
	}
)

// Resolver turns the DNS names of an address into addresses. It blocks until ctx is done.
type Resolver func(ctx context.Context, a ma.Multiaddr) ([]ma.Multiaddr, error)

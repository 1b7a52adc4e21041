// Package peerstore holds the actor that remembers peers.
//
//	peers     ─Connectedness, Lookup──> Book
//	identify  ─Identified─────────────> Book
//	discovery ─Learn──────────────────> Book
//	anybody   ─PeerInfo, KnownPeers───> Book
//
// What is remembered, for how long and who is forgotten first is decided by the core in
// peerstore/book. Its state belongs to the node: when the actor crashes, the next incarnation
// repairs it, asks Peers who is connected, and goes on.
package peerstore

import (
	"slices"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/peerstore/book"
	"github.com/troupe-p2p/troupe/stream"

	ma "github.com/multiformats/go-multiaddr"
)

// Config of the peerstore.
type Config struct {
	// State is the memory, which belongs to the node. Default: a new one.
	State *State
}

// State is what outlives the actor. Only the actor touches it.
type State struct {
	cfg       book.Config
	book      *book.Book
	peers     actors.Ref[messages.Peers]
	repairing bool // the last repair did not come to its end
}

// NewState makes an empty memory.
func NewState(cfg book.Config) *State { return &State{cfg: cfg, book: book.New(cfg)} }

// Spec is how to spawn the peerstore's actor.
func Spec(cfg Config) actors.Spec {
	if cfg.State == nil {
		cfg.State = NewState(book.Config{})
	}
	return actors.Spec{
		Name:    "book",
		New:     func() actor.Actor { return &keeper{s: cfg.State} },
		Mailbox: actors.Mailbox{Data: 1 << 14},
	}
}

// keeper is the actor; the state is its only for the time of its incarnation.
type keeper struct {
	s     *State
	self  actors.Ref[messages.Book]
	timer *actors.Timer
	// heard are the peers of which somebody has said whether they are connected since Peers
	// was asked for all that are; nil: no question is open. At most one entry for each of the
	// connections that the node's limits allow.
	heard map[identity.ID]struct{}
	shown *book.Stats
}

type (
	tick struct{ messages.Book }
	// live are the connections that there were when Peers was asked.
	live struct {
		messages.Book
		conns []*stream.Conn
	}
)

// Receive implements actor.Actor.
func (k *keeper) Receive(ctx actor.Context) {
	now := actors.RuntimeOf(ctx).Now()
	b := k.s.book
	switch m := ctx.Message().(type) {
	case *actor.Started:
		k.start(ctx, now)
	case *messages.Introduce:
		k.s.peers = m.Peers
	case *messages.Lookup:
		m.Reply.Answer(addrs(b.Addrs(now, m.Peer)))
		return
	case *messages.PeerInfo:
		m.Reply.Answer(k.info(now, m.Peer))
		return
	case *messages.KnownPeers:
		m.Reply.Answer(b.Peers())
		return
	case *messages.Learn:
		if m.TTL == 0 {
			b.Pin(now, m.Peer, m.Addrs)
		} else {
			b.Learn(now, m.Peer, m.Addrs, m.TTL)
		}
	case *messages.Identified:
		// What the core refuses, it has counted; the rest of the statement is taken.
		_ = b.Identified(now, m.Peer, k.statement(now, m))
	case *messages.Connectedness:
		k.connected(now, m.Peer, m.Connected)
		if k.heard != nil {
			k.heard[m.Peer] = struct{}{}
		}
	case *live:
		k.reconcile(now, m.conns)
		k.heard = nil
	case *tick:
		b.HandleTimeout(now)
	default:
		return
	}
	k.settle(ctx)
}

// start makes whole what a crash may have left in the middle of a change. A memory that cannot
// be repaired is given up: without it the node still works.
func (k *keeper) start(ctx actor.Context, now time.Time) {
	s := k.s
	k.self = actors.Self[messages.Book](ctx)
	k.timer = actors.NewTimer(ctx, &tick{})
	if s.repairing {
		s.book = book.New(s.cfg)
	}
	s.repairing = true
	var connected []identity.ID
	for _, id := range s.book.Peers() {
		if s.book.IsConnected(id) {
			connected = append(connected, id)
		}
	}
	s.book.Repair(now, connected)
	s.repairing = false
	if !s.peers.IsZero() {
		k.ask()
	}
}

// ask wants to know from Peers who is connected: what was said while the actor was down is lost.
func (k *keeper) ask() {
	k.heard = map[identity.ID]struct{}{}
	self := k.self
	reply := actors.NewReply(k.s.peers, func(conns []*stream.Conn, _ error) {
		// If Peers has failed, every connection has gone with it: none is right.
		_ = self.Control(&live{conns: conns})
	})
	_ = k.s.peers.Control(&messages.ListConns{Reply: reply})
}

// reconcile applies the answer to those peers that nobody has spoken of since the question:
// about them the answer is the newest word.
func (k *keeper) reconcile(now time.Time, conns []*stream.Conn) {
	listed := make(map[identity.ID]struct{}, len(conns))
	for _, c := range conns {
		listed[c.Peer] = struct{}{}
		if _, newer := k.heard[c.Peer]; !newer && !k.s.book.IsConnected(c.Peer) {
			k.connected(now, c.Peer, true)
		}
	}
	for _, id := range k.s.book.Peers() {
		_, newer := k.heard[id]
		if _, ok := listed[id]; !ok && !newer && k.s.book.IsConnected(id) {
			k.connected(now, id, false)
		}
	}
}

func (k *keeper) connected(now time.Time, id identity.ID, is bool) {
	if is {
		_ = k.s.book.Connected(now, id) // a full book works on without this peer
		return
	}
	k.s.book.Disconnected(now, id)
}

// settle arms the one timer and shows how much is remembered.
func (k *keeper) settle(ctx actor.Context) {
	if at, ok := k.s.book.Deadline(); ok {
		k.timer.Set(at)
	} else {
		k.timer.Stop()
	}
	was, now := k.shown, k.s.book.Stats()
	show := func(key string, n func(*book.Stats) int) {
		if was == nil || n(was) != n(&now) {
			actors.Publish(ctx, key, strconv.Itoa(n(&now)))
		}
	}
	show("peers", func(s *book.Stats) int { return s.Peers })
	show("addrs", func(s *book.Stats) int { return s.Addrs })
	show("evicted", func(s *book.Stats) int { return int(s.Evicted) })
	k.shown = &now
}

// statement completes what a push leaves out with what the peer said before.
func (k *keeper) statement(now time.Time, m *messages.Identified) book.Statement {
	s := book.Statement{
		Facts: book.Facts{
			PublicKey: m.Key, ProtocolVersion: m.Version, AgentVersion: m.Agent,
			Protocols: m.Protocols, Sealed: m.Record,
		},
		Addrs:  m.Addrs,
		Record: m.Certified,
	}
	old, ok := k.s.book.Facts(m.Peer)
	if !m.Partial || !ok {
		return s
	}
	if s.PublicKey == nil {
		s.PublicKey = old.PublicKey
	}
	if s.ProtocolVersion == "" {
		s.ProtocolVersion = old.ProtocolVersion
	}
	if s.AgentVersion == "" {
		s.AgentVersion = old.AgentVersion
	}
	if s.Protocols == nil {
		s.Protocols = old.Protocols
	}
	if s.Addrs == nil && s.Sealed == nil {
		s.Sealed = old.Sealed
		for _, a := range k.s.book.Addrs(now, m.Peer) {
			if a.Source == book.Said || a.Source == book.Certified {
				s.Addrs = append(s.Addrs, a.Addr)
			}
		}
	}
	return s
}

func (k *keeper) info(now time.Time, id identity.ID) messages.KnownPeer {
	f, _ := k.s.book.Facts(id)
	return messages.KnownPeer{ // whose owner may write to it
		Peer: id, Addrs: addrs(k.s.book.Addrs(now, id)), Protocols: slices.Clone(f.Protocols), Agent: f.AgentVersion,
		Version: f.ProtocolVersion, Record: slices.Clone(f.Sealed), Connected: k.s.book.IsConnected(id),
	}
}

func addrs(known []book.Address) []ma.Multiaddr {
	out := make([]ma.Multiaddr, len(known))
	for i, a := range known {
		out[i] = a.Addr
	}
	return out
}

package peers

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/bound"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/peers/limits"
)

// maxParked is how many newcomers wait at a time for the ends of connections that make room for them.
// It stops remotes that finish handshakes faster than connections end; who comes then is refused.
const maxParked = 64

// Bounds lists what a remote can fill.
func Bounds() []bound.Bound {
	return []bound.Bound{{Name: "peers: newcomers that wait for the end of another connection", Cap: maxParked,
		Attack: "handshakes that are finished faster than connections end"}}
}

// use is what the actor of a peer lets peers know of a connection, without a message for each stream.
type use struct {
	busy  atomic.Bool
	quiet atomic.Int64 // since when it is not, in Unix nanoseconds
}

// Marks are the program's word on which peers to keep. They belong to the node, have a lock, and outlive
// the peers' actors. The zero Marks is ready.
type Marks struct {
	mu      sync.Mutex
	tags    limits.Tags
	changes uint64
}

// Tag is limits.Tags' Set.
func (m *Marks) Tag(peer identity.ID, name string, value int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changes++
	return m.tags.Set(peer, name, value)
}

// Untag is limits.Tags' Clear.
func (m *Marks) Untag(peer identity.ID, name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changes++
	m.tags.Clear(peer, name)
}

// Protect is limits.Tags' Protect.
func (m *Marks) Protect(peer identity.ID, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changes++
	return m.tags.Protect(peer, name)
}

// Unprotect is limits.Tags' Unprotect.
func (m *Marks) Unprotect(peer identity.ID, name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changes++
	return m.tags.Unprotect(peer, name)
}

func (m *Marks) of(peer identity.ID) (protected bool, value int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.tags.Of(peer)
}

func (m *Marks) changed() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changes
}

// crowdedFor is how long it is believed that nobody makes room for just anybody. It stops remotes that
// finish handshakes with a node whose connections are all of use from having it look at each of them
// every time.
const crowdedFor = 10 * time.Millisecond

// crowded is that belief.
type crowded struct {
	until time.Time
	marks uint64 // changes of the marks that it knows of
}

// makeRoom closes the connection that is of the least use, for a link that was refused because of
// Limits.Conns, and has the link wait for its end: there are never more than Limits.Conns. It reports
// whether it could.
//
//   - A link that somebody dialled to us takes the place of such a one, never of one that this node
//     dialled: otherwise remotes could surround it by filling it up.
//   - The second link of a peer takes the place of the first: one identity pushes out nobody else.
func (p *peers) makeRoom(now time.Time, l *messages.Link, side limits.Side, why error) bool {
	var r limits.Refusal
	if !errors.As(why, &r) || r.Limit != "Conns" || len(p.parked) >= maxParked {
		return false
	}
	// He has only just come, whatever the clock said when the others did.
	newcomer := limits.Use{Busy: side == limits.Local, Quiet: now.AddDate(1000, 0, 0)}
	newcomer.Protected, newcomer.Value = p.cfg.Marks.of(l.Peer)
	var all limits.Chooser
	see := func(of *remote) {
		protected, value := p.cfg.Marks.of(of.id)
		for _, h := range of.conns {
			if h.going || side == limits.Remote && h.side == limits.Local {
				continue
			}
			all.See(limits.Candidate{ID: h.conn.ID, Use: limits.Use{
				Protected: protected, Busy: h.use.busy.Load(), Value: value, Quiet: time.Unix(0, h.use.quiet.Load()),
			}})
		}
	}
	own, anybody, marks := p.remotes[l.Peer], false, p.cfg.Marks.changed()
	if own != nil && len(own.conns) > 0 {
		see(own)
	} else {
		anybody = side == limits.Remote && !newcomer.Protected && newcomer.Value == 0
		if anybody && now.Before(p.crowded.until) && p.crowded.marks == marks {
			return false
		}
		for _, of := range p.remotes { // order-free: the choice does not depend on it
			see(of)
		}
	}
	id, ok := all.For(newcomer)
	if !ok {
		if anybody {
			p.crowded.until, p.crowded.marks = now.Add(crowdedFor), marks
		}
		return false
	}
	for _, of := range p.remotes { // order-free: one has it
		for i := range of.conns {
			if h := &of.conns[i]; h.conn.ID == id {
				h.going = true
				p.parked[id] = l
				p.give(of, &evictOn{conn: id, why: &limits.Eviction{Limit: r.Limit, Cap: r.Cap, For: l.Peer}})
				return true
			}
		}
	}
	return false
}

// unpark lets the link in that has waited for the end of a connection.
func (p *peers) unpark(ctx actor.Context, conn uint64) {
	if l := p.parked[conn]; l != nil {
		delete(p.parked, conn)
		p.arrived(ctx, l)
	}
}

package peers

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/peers/connset"
	"github.com/troupe-p2p/troupe/peers/limits"
	"github.com/troupe-p2p/troupe/stream"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// conns are the connections with one peer; there are few, mostly one.
type conns []*conn

func (cs conns) get(id uint64) *conn {
	for _, c := range cs {
		if c.info.ID == id {
			return c
		}
	}
	return nil
}

// named finds a connection by the name of its actor.
func (cs conns) named(name string) *conn {
	for _, c := range cs {
		if c.name == name {
			return c
		}
	}
	return nil
}

// conn is one connection.
type conn struct {
	info    *stream.Conn
	name    string // of its actor
	ref     actors.Ref[messages.Session]
	streams *actors.Holder
	buffers *actors.Holder
	busy    bool
	use     *use // what peers knows of busy
	ended   *messages.ConnEnded
	evicted error // why it is closed to make room
}

func (p *peer) addLink(ctx actor.Context, m *addLink) {
	if _, ok := p.extra[m.link]; ok {
		delete(p.extra, m.link)
		m.Discard(errConnected)
		return
	}
	delete(p.coming, m.link)
	now := p.rt.Now()
	if err := p.set.Add(now, connset.Conn{ID: m.conn.ID, Outbound: m.conn.Direction == conduit.Outbound}); err != nil {
		if errors.Is(err, connset.ErrFull) {
			n := connsPerPeer(p.cfg.Limits)
			err = limits.Refusal{Limit: "ConnsPerPeer", Unit: "connections", Cap: n, Used: n, Wanted: 1, Holder: p.id, HolderUsed: n}
		}
		p.cfg.refuse(m.link, err)
		m.Discard(err) // closed already; what was reserved is free
		p.cfg.Hub.Emit(messages.Event{Kind: messages.EventRefused, At: now, Peer: p.id, Err: err})
		p.linkFailed(m.link, err)
		return
	}
	c := &conn{info: m.conn, name: fmt.Sprintf("conn-%d", m.conn.ID), use: m.use}
	holder := p.id.Short() + "/" + c.name
	c.streams, c.buffers = p.cfg.Streams.Holder(holder), p.cfg.Buffers.Holder(holder)
	p.ledger.conns = append(p.ledger.conns, c) // before anything can go wrong
	spec := p.cfg.Session(SessionJob{Conn: m.conn, Link: m.link, Owner: p.self, Streams: c.streams, Buffers: c.buffers})
	spec.Name, spec.Follow = c.name, true
	ref, err := actors.Spawn[messages.Session](ctx, spec)
	if err != nil {
		panic(err) // the name is ours and new: a bug
	}
	m.taken = true
	c.ref = ref
	if len(p.ledger.conns) == 1 {
		_ = p.cfg.Book.Control(&messages.Connectedness{Peer: p.id, Connected: true})
	}
	_ = p.cfg.Identify.Control(&messages.ConnUp{Conn: m.conn, Session: c.ref})
	p.cfg.Hub.Emit(messages.Event{Kind: messages.EventConnected, At: now, Peer: p.id, Conn: m.conn, Path: c.ref.Path()})
	p.linked(m.link, m.conn)
}

func (p *peer) streamsChanged(m *messages.StreamsChanged) {
	c := p.ledger.conns.get(m.Conn)
	switch {
	case c == nil:
	case m.Quiet.IsZero() && !c.busy:
		c.busy = true
		c.use.busy.Store(true)
		p.set.StreamOpened(m.Conn)
	case !m.Quiet.IsZero() && c.busy:
		c.busy = false
		c.use.quiet.Store(m.Quiet.UnixNano())
		c.use.busy.Store(false)
		p.set.StreamEnded(m.Quiet, m.Conn)
	}
}

// childEnded takes the end of a connection, or of an attempt to dial that a bug has ended.
func (p *peer) childEnded(ctx actor.Context) {
	end, ok := actors.ChildEnd(ctx)
	if !ok {
		return
	}
	if c := p.ledger.conns.named(end.Name); c != nil {
		p.set.Remove(c.info.ID)
		if c.ended == nil && end.Err == nil {
			// Why it ended is on its way; this comes behind it.
			_ = p.self.Control(&connOver{name: end.Name})
			return
		}
		p.connGone(c, end.Err)
		return
	}
	// After an orderly end the outcome is on its way: Terminated overtakes it.
	if n, ok := dialNumber(end.Name); ok && end.Err != nil {
		p.dialled(&messages.Dialled{Attempt: n, Err: end.Err})
	}
}

// connGone gives back what a connection held, whatever ended it, and tells everybody. why is for
// a connection that has not said it itself.
func (p *peer) connGone(c *conn, why error) {
	id := c.info.ID
	p.ledger.conns = slices.DeleteFunc(p.ledger.conns, func(o *conn) bool { return o == c })
	p.set.Remove(id)
	c.streams.Close()
	c.buffers.Close()
	_ = p.parent.Control(&messages.ConnReleased{Peer: p.id, Conn: id})
	e := messages.Event{Kind: messages.EventDisconnected, At: p.rt.Now(), Peer: p.id, Conn: c.info, Err: why}
	if c.ended != nil {
		e.Code, e.Remote, e.Err = c.ended.Code, c.ended.Remote, c.ended.Err
		if c.evicted != nil && !e.Remote {
			e.Err = c.evicted
		}
	}
	p.cfg.Hub.Emit(e)
	_ = p.cfg.Identify.Control(&messages.ConnDown{Conn: id})
	if len(p.ledger.conns) == 0 {
		_ = p.cfg.Book.Control(&messages.Connectedness{Peer: p.id, Connected: false})
	}
}

func (p *peer) close(id uint64, code uint32, reason string) {
	if c := p.ledger.conns.get(id); c != nil {
		_ = c.ref.Control(&messages.CloseConn{Code: code, Reason: reason})
	}
}

// evict takes the connection out of the set at once, as hangup does. A stream that was opened since
// the choice goes with it.
func (p *peer) evict(m *evictOn) {
	if c := p.ledger.conns.get(m.conn); c != nil {
		c.evicted = m.why
		p.set.Remove(m.conn)
		p.close(m.conn, connset.CodeEvicted, m.why.Error())
	}
}

// hangup takes the connections out of the set at once: an open that comes next is not to be
// given one that is about to end.
func (p *peer) hangup(m *hangupOn) {
	p.stopDial(ErrHungUp)
	for _, id := range p.ids() {
		p.set.Remove(id)
		p.close(id, m.code, m.reason)
	}
}

func (p *peer) ids() (out []uint64) {
	for _, c := range p.ledger.conns {
		out = append(out, c.info.ID)
	}
	slices.Sort(out)
	return out
}

func (p *peer) probe(id uint64) {
	c := p.ledger.conns.get(id)
	if c == nil {
		return
	}
	self := p.self
	r := actors.NewReply(c.ref, func(_ time.Duration, err error) { _ = self.Control(&probed{conn: id, err: err}) })
	_ = c.ref.Control(&messages.Probe{Reply: r})
}

// goodbye is the last turn of an incarnation: its children are about to be stopped, and nobody
// else will see their end.
func (p *peer) goodbye() {
	if p.over || p.set == nil {
		return
	}
	p.over = true
	p.stopDial(actors.ErrStopped)
	p.farewell(actors.ErrStopped)
}

// farewell tells of the end of every connection that is in the ledger.
func (p *peer) farewell(why error) {
	for _, id := range p.ids() {
		p.connGone(p.ledger.conns.get(id), why)
	}
}

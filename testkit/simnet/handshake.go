package simnet

import (
	"context"
	"net/netip"
	"time"

	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

// synRTO is the wait before a dialler asks again for the first time: RFC 6298's.
const synRTO = time.Second

// dial is an attempt to open a stream.
type dial struct {
	t    *Transport
	ctx  context.Context
	addr ma.Multiaddr
	done func(conduit.Conduit, error)

	s       *stream
	undone  func() bool // stops following the context
	end     time.Time
	callers bool // the caller's deadline comes first
	wait    time.Duration
	told    bool
}

// begin is the dial's first turn.
func (d *dial) begin() {
	h := d.t.h
	dst, ok := socket(d.addr)
	switch {
	case !ok:
		d.tell(conduit.Conduit{}, fail(local, "dial", d.addr, ErrAddress))
		return
	case d.ctx.Err() != nil:
		d.tell(conduit.Conduit{}, fail(local, "dial", d.addr, canceled(d.ctx)))
		return
	case d.t.dead():
		d.tell(conduit.Conduit{}, fail(local, "dial", d.addr, ErrDown))
		return
	}
	src, dst, err := d.t.source(dst)
	if err != nil {
		d.tell(conduit.Conduit{}, fail(local, "dial", d.addr, err))
		return
	}
	h.n.lastStream++
	d.s = h.newStream(pair{src, dst}, h.n.lastStream, conduit.Outbound)
	d.s.state, d.s.dial = asking, d
	d.end, d.wait = h.n.now().Add(d.t.cfg.DialTimeout), synRTO
	if theirs, ok := d.ctx.Deadline(); ok && theirs.Before(d.end) {
		d.end, d.callers = theirs, true
	}
	if d.t.rt != nil {
		d.undone = d.t.rt.OnDone(d.ctx, func() { h.n.soon(d.look) })
	}
	d.ask()
}

// look sees whether the caller still wants the stream.
func (d *dial) look() {
	if !d.told && d.ctx.Err() != nil {
		d.quit()
		d.tell(conduit.Conduit{}, fail(local, "dial", d.addr, canceled(d.ctx)))
	}
}

// ask sends a Syn, and again until there is an answer.
func (d *dial) ask() {
	s, n := d.s, d.s.n
	s.timer = nil
	now := n.now()
	if d.look(); d.told {
		return
	}
	if !now.Before(d.end) {
		d.quit()
		if d.callers {
			d.tell(conduit.Conduit{}, fail(local, "dial", d.addr, context.DeadlineExceeded))
		} else {
			d.tell(conduit.Conduit{}, fail(remote, "dial", d.addr, noAnswer(d.t.cfg.DialTimeout)))
		}
		return
	}
	if err := n.launch(&packet{kind: Syn, from: s.h, num: s.num, of: s}, tcpProto, s.local, s.remote); err != nil {
		s.timer = n.after(min(2*n.def.Latency, d.end.Sub(now)), func() { s.lose(err) })
		return
	}
	s.timer = n.after(min(d.wait, d.end.Sub(now)), d.ask)
	d.wait *= 2
}

// quit gives the stream up.
func (d *dial) quit() {
	if d.s.state == asking {
		d.s.forget() // and whoever grants it is told by a reset
	} else {
		d.s.abort()
	}
	d.s.in.drop()
}

// fail ends the dial in a later turn.
func (d *dial) fail(err error) {
	d.s.dial = nil
	d.s.in.drop()
	d.s.n.soon(func() { d.tell(conduit.Conduit{}, err) })
}

// open hands the stream over.
func (d *dial) open() {
	if d.told || d.s.dial == nil { // it has failed meanwhile
		return
	}
	d.s.dial = nil
	d.s.h.owned[d.s] = struct{}{}
	d.tell(conduit.Conduit{Raw: d.s}, nil)
}

// tell calls done, once. It is the last thing in a turn.
func (d *dial) tell(c conduit.Conduit, err error) {
	if d.told {
		return
	}
	d.told = true
	if d.s != nil {
		d.s.dial = nil
	}
	if d.undone != nil {
		d.undone()
	}
	clean := false
	defer func() {
		if !clean {
			_ = recover() // done has no other owner than this turn
			c.Abandon()
		}
	}()
	d.done(c, err)
	clean = true
}

// synCame is a Syn at a host.
func (n *Network) synCame(to *Host, dst netip.AddrPort, p *packet) {
	at := pair{dst, p.w.src}
	s := to.streams[at]
	switch {
	case s == nil:
		n.grant(to, at, p)
		return
	case s == p.of: // a dial that has found its own port
		n.sendReset(to, dst, p.w.src, p.of)
		return
	case s.state == asking: // both ask: one stream
		s.peer, s.state = p.of, granted
		s.num = min(s.num, p.num)
		s.out.window = n.path(to, p.from).window()
	case s.peer != p.of: // the other end has forgotten the stream that we know
		s.reset()
		return // it asks again
	}
	n.observe(Syn, p.from, to, p.num, 0, nil)
	s.sendGrant()
}

// grant answers a Syn that is about no stream.
func (n *Network) grant(to *Host, at pair, p *packet) {
	l := to.listening(at.local)
	switch {
	case l == nil:
		n.observe(Syn, p.from, to, p.num, 0, nil)
		n.sendReset(to, at.local, at.remote, p.of)
		return
	case len(l.waiting)+l.half >= maxAccept:
		return // as lost: the dialler asks again
	}
	n.observe(Syn, p.from, to, p.num, 0, nil)
	s := to.newStream(at, p.num, conduit.Inbound)
	s.state, s.peer, s.via = granted, p.of, l
	s.out.window = n.path(to, p.from).window()
	l.half++
	s.timer = n.after(n.StreamTimeout, s.timedOut)
	s.sendGrant()
}

// sendGrant answers a Syn. If that is lost, the dialler asks again.
func (s *stream) sendGrant() {
	_ = s.n.launch(&packet{kind: SynAck, from: s.h, num: s.num, of: s, ack: s.peer}, tcpProto, s.local, s.remote)
}

// grantCame is a SynAck at a host.
func (n *Network) grantCame(to *Host, dst netip.AddrPort, p *packet) {
	s := to.streams[pair{dst, p.w.src}]
	if s == nil || s != p.ack || s.peer != nil && s.peer != p.of {
		n.sendReset(to, dst, p.w.src, p.of)
		return
	}
	n.observe(SynAck, p.from, to, p.num, 0, nil)
	switch s.state {
	case asking:
		s.peer = p.of
		s.num = min(s.num, p.num)
		s.out.window = n.path(to, p.from).window()
		s.opened()
		s.out.add(Ack, nil)
		s.dial.open()
	case granted: // both have asked
		s.opened()
		s.dial.open()
	default:
	}
}

// accepted opens a stream whose dialler has the grant. It reports false if nobody wants it.
func (s *stream) accepted() bool {
	l := s.via
	if l == nil { // both have asked, and the other end's grant is late
		s.opened()
		d := s.dial
		s.n.soon(d.open)
		return true
	}
	l.half--
	if l.closed {
		s.via = nil
		s.abort()
		return false
	}
	s.opened()
	l.waiting = append(l.waiting, s)
	return true
}

package webrtc

import (
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/bucket"
	"github.com/troupe-p2p/troupe/internal/clean"
	"github.com/troupe-p2p/troupe/negotiation/noise"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"
	"github.com/troupe-p2p/troupe/transports/internal/muxed"

	"github.com/pion/dtls/v3"
	"github.com/pion/sctp"
)

const (
	// panicCode is what the remote sees of a stream or connection whose owner panicked here.
	panicCode = 0
	// libp2p's codes for what a remote did wrong.
	codeRateLimited = 0x1002
	codeProtocol    = 0x1003
	codeLimit       = 0x1001
	// apart is how long the end of DTLS comes behind that of SCTP, which has the code.
	apart = 100 * time.Millisecond
	// tick is how often a connection looks at its clocks.
	tick = time.Second
)

// conn is one connection. Whoever bound a sink last owns it.
//
// Locks are taken in the order mu, SCTP's, news.mu. SCTP calls us with its own held, and those calls take
// nothing but news.mu.
type conn struct {
	t     *Transport
	path  *path
	dtls  *dtls.Conn
	wire  *wire
	assoc *sctp.Association
	ends  conduit.Endpoints
	probe func()
	peer  identity.ID
	key   identity.PublicKey

	// window is how many bytes of a stream the remote allows from its begin; 0 if it says nothing about
	// that. It is set by the handshake.
	window uint64

	alive atomic.Int64 // when the remote was heard last, by the runtime's clock

	news  news
	taken taken

	mu       sync.Mutex
	space    *sync.Cond // more may be unread, or less is owed
	sink     conduit.MuxedSink
	begun    bool // the remote is known
	early    []*sctp.Stream
	streams  map[uint16]*stream // by channel; also those that only wait for the remote's reset
	accepted []*stream          // not yet handed over; at most MaxStreams
	ours     int                // streams that we opened
	theirs   int                // those of the remote
	lingers  int                // channels that we have closed and the remote has not
	owed     int                // channels that are over and have bytes that the remote has not acknowledged
	starved  bool               // a stream waits for room in ConnSendBuffer
	nextID   uint16
	unread   int // bytes of all streams
	lent     int // by how much the windows of all streams are wider than the first ones
	refused  bool
	canOpen  bool // CanOpen is due
	resets   bucket.Bucket
	probed   time.Time
	why      *ending // set by the first reason to end
	over     bool    // nothing comes any more
	told     bool    // the present sink knows
}

var _ conduit.Muxed = (*conn)(nil)

// conn begins a connection, whose remote is not known yet.
func (t *Transport) conn(p *path, d *dtls.Conn, w *wire, assoc *sctp.Association, who party) *conn {
	now := t.rt.Now()
	c := &conn{
		t: t, path: p, dtls: d, wire: w, assoc: assoc, ends: who.ends, probe: who.probe,
		streams: map[uint16]*stream{}, resets: bucket.New(resetBurst, resetRate, now), probed: now,
	}
	c.space = sync.NewCond(&c.mu)
	c.news.c = c
	// RFC 8832, section 6: the DTLS client has the even channels, the server the odd ones.
	c.nextID = 1
	if c.ends.Direction == conduit.Outbound {
		c.nextID = 2
	}
	c.hear()
	w.listen(c.hear)
	heard := c.hear
	p.heard.Store(&heard)
	c.pump("accept", c.accept)
	return c
}

// pump starts one of the connection's goroutines. A panic in it is one of the connection.
func (c *conn) pump(what string, f func()) { c.t.rt.Pump("webrtc "+what, f, c.failed) }

// hear notes that the remote lives.
func (c *conn) hear() { c.alive.Store(c.t.rt.Now().UnixNano()) }

// begin makes a conduit of it: the remote is who it says.
func (c *conn) begin(found *noise.Result) {
	c.peer, c.key = found.Peer, found.PublicKey
	c.mu.Lock()
	c.begun = true
	early := c.early
	c.early = nil
	for _, st := range early {
		c.arrived(st)
	}
	c.mu.Unlock()
	c.t.rt.AfterFunc(tick, c.tick)
}

// giveUp ends a connection that nobody has seen, because its handshake failed.
func (c *conn) giveUp(err error) {
	c.end(&ending{err: err}, "")
}

// Endpoints implements conduit.Muxed.
func (c *conn) Endpoints() conduit.Endpoints { return c.ends }

// Peer implements conduit.Muxed.
func (c *conn) Peer() identity.ID { return c.peer }

// PublicKey implements conduit.Muxed.
func (c *conn) PublicKey() identity.PublicKey { return c.key }

// Bind implements conduit.Muxed.
func (c *conn) Bind(s conduit.MuxedSink) {
	c.mu.Lock()
	c.sink, c.told = s, false
	c.mu.Unlock()
	c.news.look()
}

// accept takes the channels that the remote opens, until the connection ends.
func (c *conn) accept() {
	for {
		st, err := c.assoc.AcceptStream()
		if err != nil {
			c.lostAssociation()
			return
		}
		if st.StreamIdentifier() == noiseChannel {
			continue // the handshake has it, or had it
		}
		c.mu.Lock()
		for c.owed >= maxOwed && c.why == nil {
			c.space.Wait() // SCTP takes few channels more meanwhile, and the remote sends their bytes again
		}
		switch {
		case c.begun:
			c.arrived(st)
		case len(c.early) < maxEarly:
			c.early = append(c.early, st)
		case c.why == nil:
			c.endLocked(&ending{code: codeLimit, err: fail(fault.Limit, "take a stream of", c.ends.Remote, ErrStreamLimit)},
				ErrStreamLimit.Error())
		}
		c.mu.Unlock()
	}
}

// remotes says that a channel is the remote's to open.
func (c *conn) remotes(id uint16) bool { return (id&1 == 0) == (c.ends.Direction == conduit.Inbound) }

// arrived books a channel of the remote. It is called with mu held.
func (c *conn) arrived(st *sctp.Stream) {
	id := st.StreamIdentifier()
	old := c.streams[id]
	switch {
	case c.why != nil, old != nil && old.st == st:
		return
	case !c.remotes(id) || old != nil && !old.closing:
		_ = st.Close() // and nobody looks whether the remote closes it
		c.wasted()
		c.linger()
		return
	}
	if old != nil { // that it is there says that the remote has closed the one before; its pump is late
		old.eof = true
		old.settle()
	}
	s := c.add(st, false)
	s.opening = true
	if c.theirs > c.t.cfg.MaxStreams {
		s.refuse(codeLimit, fail(fault.Limit, "take a stream of", c.ends.Remote, ErrStreamLimit))
		c.wasted()
	}
	c.pump("read", s.read)
}

// reopened takes a channel whose open came ahead of the reset of the one that had its number before, and
// was lost with that: libdatachannel, which js-libp2p uses in Node, sends it when it has seen our reset, and
// resets its own side behind it. It is called with mu held.
func (c *conn) reopened(id uint16) {
	st, err := c.assoc.OpenStream(id, sctp.PayloadTypeWebRTCBinary)
	if err != nil {
		return // the connection ends
	}
	c.arrived(st)
	if s := c.streams[id]; s != nil && s.st == st && s.opening && !s.gone {
		s.opened()
	}
}

// add books a stream. It is called with mu held.
func (c *conn) add(st *sctp.Stream, ours bool) *stream {
	s := &stream{c: c, st: st, id: st.StreamIdentifier(), ours: ours, held: true, limit: c.window,
		granted: firstWindow, since: c.t.rt.Now()}
	if ours {
		c.ours++
	} else {
		c.theirs++
	}
	c.streams[s.id] = s
	st.SetBufferedAmountLowThreshold(uint64(s.low()))
	st.OnBufferedAmountLow(func() { c.news.of(s) })
	return s
}

// OpenStream implements conduit.Muxed.
func (c *conn) OpenStream() (conduit.MuxedStream, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why != nil {
		return nil, c.why.err
	}
	id, ok := c.freeID()
	if !ok || c.ours >= c.t.cfg.MaxStreams {
		c.refused = true
		return nil, fail(fault.Limit, "open a stream to", c.ends.Remote, ErrStreamLimit)
	}
	st, err := c.assoc.OpenStream(id, sctp.PayloadTypeWebRTCBinary)
	if err == nil {
		_, err = st.WriteSCTP(openMessage(), sctp.PayloadTypeWebRTCDCEP)
	}
	if err != nil {
		return nil, fail(fault.Remote, "open a stream to", c.ends.Remote, err)
	}
	s := c.add(st, true)
	c.pump("read", s.read)
	return s, nil
}

// freeID is a channel that is not used. RFC 8831, section 6.7: "Streams are available for reuse after a
// reset has been performed". It is called with mu held.
func (c *conn) freeID() (uint16, bool) {
	const last = 65534 // RFC 8832, section 5.1: 65535 is none
	for range c.t.cfg.MaxStreams + c.t.cfg.lingering() + 1 {
		id := c.nextID
		if c.nextID = id + 2; id > last-2 {
			c.nextID = 2 - id&1
		}
		if c.streams[id] == nil {
			return id, true
		}
	}
	return 0, false
}

// wasted counts a stream that the remote has opened for nothing. Who does nothing else loses the
// connection. It is called with mu held.
func (c *conn) wasted() {
	if !c.resets.Take(1, c.t.rt.Now()) && c.why == nil {
		err := fail(fault.Limit, "talk to", c.ends.Remote, ErrResets)
		c.endLocked(&ending{code: codeRateLimited, err: err}, ErrResets.Error())
	}
}

// linger counts a channel that we have closed. It is called with mu held.
func (c *conn) linger() {
	if c.lingers++; c.lingers > c.t.cfg.lingering() && c.why == nil {
		err := fail(fault.Limit, "talk to", c.ends.Remote, ErrLingering)
		c.endLocked(&ending{code: codeLimit, err: err}, ErrLingering.Error())
	}
}

// feed wakes the streams that wait for room in ConnSendBuffer. It is called with mu held.
func (c *conn) feed() {
	if !c.starved || c.assoc.BufferedAmount() > c.t.cfg.ConnSendBuffer/2 {
		return
	}
	c.starved = false
	for _, s := range c.all() {
		if s.blocked {
			c.news.of(s)
		}
	}
}

// gone is why nothing goes on a connection that has ended. It is called with mu held.
func (c *conn) gone() error {
	if c.why != nil {
		return c.why.err
	}
	return fail(fault.Local, "talk to", c.ends.Remote, ErrClosed)
}

// Close implements conduit.Muxed.
func (c *conn) Close(code uint32, reason string) error {
	reason = muxed.Shorten(reason)
	c.end(&ending{code: code, err: &CodeError{Transport: name, Code: code, Op: "connection closed", Reason: reason}}, reason)
	return nil
}

// end closes the connection, for whoever comes first.
func (c *conn) end(why *ending, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endLocked(why, reason)
}

func (c *conn) endLocked(why *ending, reason string) {
	if c.why != nil {
		return
	}
	c.why = why
	c.space.Broadcast()
	c.pump("close", func() {
		c.finish() // the owner need not wait for the remote
		c.taken.wait()
		// Abort waits at most 200 ms for its packet to be written, and DTLS not at all.
		c.assoc.Abort(abortText(why.code, reason))
		pause := time.NewTimer(apart)
		<-pause.C
		_ = c.dtls.Close()
		_ = c.path.Close()
	})
}

// lostAssociation is the end that did not come from here.
func (c *conn) lostAssociation() {
	why := &ending{remote: true}
	if text, ok := c.wire.reason(); ok {
		code, reason := abortReason(clean.Text(text, clean.MaxError))
		why.code = code
		why.err = &CodeError{Transport: name, Code: code, Remote: true, Op: "connection closed", Reason: reason}
	} else {
		why.err = fail(fault.Remote, "talk to", c.ends.Remote, io.ErrUnexpectedEOF)
	}
	c.mu.Lock()
	if c.why == nil {
		c.why = why
	}
	late := c.why != why
	c.space.Broadcast()
	c.mu.Unlock()
	if late {
		return // whoever ended it tells
	}
	c.finish()
	_ = c.dtls.Close()
	_ = c.path.Close()
}

// failed contains a panic of the conduit's owner, or of a reader of remote bytes.
func (c *conn) failed(pe *actors.PanicError) { c.end(&ending{code: panicCode, err: pe}, "") }

// finish has the end told to everybody.
func (c *conn) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	for _, s := range c.all() {
		s.lose(c.why)
		delete(c.streams, s.id)
	}
	c.accepted, c.early = nil, nil
	c.over = true
	c.space.Broadcast()
	c.news.look()
}

// all are the streams, in the order of their channels. It is called with mu held.
func (c *conn) all() []*stream {
	out := make([]*stream, 0, len(c.streams))
	for _, s := range c.streams { // order-free: sorted below
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b *stream) int { return int(a.id) - int(b.id) })
	return out
}

// tick looks at the clocks: of the remote, and of streams that wait for it.
func (c *conn) tick() {
	now := c.t.rt.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why != nil {
		return
	}
	if now.Sub(time.Unix(0, c.alive.Load())) > c.t.cfg.IdleTimeout {
		c.endLocked(&ending{err: fail(fault.Remote, "talk to", c.ends.Remote, errSilent)}, "")
		return
	}
	if c.probe != nil && now.Sub(c.probed) >= c.t.cfg.KeepAlive {
		c.probed = now
		c.probe()
	}
	for _, s := range c.all() {
		s.late(now)
	}
	c.feed()
	c.t.rt.AfterFunc(tick, c.tick)
}

// ending says that the connection has ended or is about to.
func (c *conn) ending() bool {
	if _, ok := c.wire.reason(); ok || c.wire.broken() {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.why != nil
}

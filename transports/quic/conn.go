package quic

import (
	"context"
	"errors"
	"sync"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/bucket"
	"github.com/troupe-p2p/troupe/negotiation/tls"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"

	quicgo "github.com/quic-go/quic-go"
)

const (
	// panicCode is what the remote sees of a stream or connection whose owner panicked here. Whoever
	// wants to tell it more catches the panic before it comes to this.
	panicCode = 0
	// rateLimited is libp2p's code for a remote that does too much of something.
	rateLimited = 0x1002
)

// resetBurst and resetRate are package yamux's budget for streams that a remote opens and resets: each
// costs us what no stream limit counts, since it is over before anybody looks.
const (
	resetBurst = 1000
	resetRate  = 200
)

// conn is one connection. Whoever bound a sink last owns it.
//
// Locks are taken in the order deliver, a stream's mu, conn's mu.
type conn struct {
	t    *Transport
	s    *socket
	qc   *quicgo.Conn
	ends conduit.Endpoints
	peer identity.ID
	key  identity.PublicKey

	// ending is closed when the end pump has been started. Pumps that end with the connection wait
	// for that, so that the runtime sees one of them until the end was told.
	ending chan struct{}

	confirmed *confirmation // of a dialled connection

	// deliver is held while a method of a sink runs, this conduit's or one of its streams', so
	// that pumps take turns. Nothing that a sink may call takes it.
	deliver sync.Mutex

	mu        sync.Mutex
	resets    bucket.Bucket
	sink      conduit.MuxedSink
	accepting bool // the accept pump was started
	streams   map[quicgo.StreamID]*stream
	spare     *quicgo.Stream // opened by the pump that waited for the remote's grant
	refused   bool           // OpenStream failed: CanOpen is owed
	waiting   bool           // and a pump waits to tell
	why       *ending        // set by the first reason to end
	over      bool           // nothing comes any more
	told      bool           // the present sink knows
}

var _ conduit.Muxed = (*conn)(nil)

// conn makes a conduit of qc, which holds one use of s until it ends.
func (t *Transport) conn(qc *quicgo.Conn, s *socket, ends conduit.Endpoints, who tls.Found, confirmed *confirmation) *conn {
	c := &conn{
		t: t, s: s, qc: qc, ends: ends, peer: who.Peer, key: who.PublicKey,
		streams: map[quicgo.StreamID]*stream{}, ending: make(chan struct{}),
		confirmed: confirmed, resets: bucket.New(resetBurst, resetRate, t.rt.Now()),
	}
	// owned: by the pump that it starts; closing the socket calls no code but ours.
	context.AfterFunc(qc.Context(), func() {
		t.windows.ended(qc)
		_ = t.leave(s, false)
		c.pump("end", c.finish)
		close(c.ending)
	})
	return c
}

// pump starts one of the connection's goroutines. A panic in it is one of the conduit's owner.
func (c *conn) pump(what string, f func()) { c.t.rt.Pump("quic "+what, f, c.failed) }

// Endpoints implements conduit.Muxed.
func (c *conn) Endpoints() conduit.Endpoints { return c.ends }

// Peer implements conduit.Muxed.
func (c *conn) Peer() identity.ID { return c.peer }

// PublicKey implements conduit.Muxed.
func (c *conn) PublicKey() identity.PublicKey { return c.key }

// Bind implements conduit.Muxed. Streams of the remote wait in the QUIC stack until the first one.
func (c *conn) Bind(s conduit.MuxedSink) {
	c.mu.Lock()
	c.sink, c.told = s, false
	start, late := !c.accepting, c.over
	c.accepting = true
	owed := c.refused && !c.waiting && !late
	c.waiting = c.waiting || owed
	c.mu.Unlock()
	switch {
	case late:
		c.t.rt.Pump("quic end", c.tell, ignore)
	case start:
		c.pump("accept", c.accept)
	}
	if owed {
		c.pump("open", c.await)
	}
}

func (c *conn) accept() {
	for {
		qs, err := c.qc.AcceptStream(context.Background())
		if err != nil {
			<-c.ending // finish tells
			return
		}
		c.accepted(qs)
	}
}

// accepted hands a stream over, unless its remote has reset it by now: nobody has seen it, nobody has
// to. Its place would be taken until somebody did.
func (c *conn) accepted(qs *quicgo.Stream) {
	if code, ok := resetAlready(qs); ok {
		qs.CancelWrite(code)
		qs.CancelRead(code)
		c.wasted()
		return
	}
	s := c.add(qs)
	if s == nil {
		return
	}
	c.deliver.Lock()
	defer c.deliver.Unlock()
	c.mu.Lock()
	sink, over := c.sink, c.over
	c.mu.Unlock()
	if !over {
		sink.Accepted(s)
	}
}

// wasted counts a stream that the remote has opened and reset. Who does nothing else loses the
// connection.
func (c *conn) wasted() {
	c.mu.Lock()
	ok := c.resets.Take(1, c.t.rt.Now())
	c.mu.Unlock()
	if !ok {
		err := fail(fault.Limit, "talk to", c.ends.Remote, ErrResets)
		c.end(&ending{code: rateLimited, err: err}, ErrResets.Error())
	}
}

// opened says that the remote opened a stream. RFC 9000, section 2.1: "The least significant bit (0x01)
// of the stream ID identifies the initiator of the stream", and 0 is the client.
func (c *conn) opened(id quicgo.StreamID) bool {
	return (id&1 == 0) == (c.ends.Direction == conduit.Inbound)
}

// add books a stream; nil if the connection has ended or is about to.
func (c *conn) add(qs *quicgo.Stream) *stream {
	s := &stream{c: c, qs: qs, wake: make(chan struct{}, 1)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why != nil {
		return nil
	}
	c.streams[qs.StreamID()] = s
	return s
}

func (c *conn) remove(s *stream) {
	c.mu.Lock()
	delete(c.streams, s.qs.StreamID())
	c.mu.Unlock()
}

// OpenStream implements conduit.Muxed.
func (c *conn) OpenStream() (conduit.MuxedStream, error) {
	c.mu.Lock()
	if c.why != nil {
		c.mu.Unlock()
		return nil, c.why.err
	}
	qs := c.spare
	c.spare = nil
	c.mu.Unlock()
	if qs == nil {
		var err error
		if qs, err = c.qc.OpenStream(); err != nil {
			return nil, c.cannotOpen(err)
		}
	}
	if s := c.add(qs); s != nil {
		return s, nil
	}
	return nil, c.gone()
}

func (c *conn) cannotOpen(err error) error {
	var full *quicgo.StreamLimitReachedError
	if !errors.As(err, &full) {
		return c.gone()
	}
	c.mu.Lock()
	c.refused = true
	start := !c.waiting && c.why == nil
	c.waiting = c.waiting || start
	c.mu.Unlock()
	if start {
		c.pump("open", c.await)
	}
	return fail(fault.Remote, "open a stream to", c.ends.Remote, ErrStreamLimit)
}

// gone is why nothing goes on a connection that has ended or is about to.
func (c *conn) gone() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why != nil {
		return c.why.err
	}
	if err := context.Cause(c.qc.Context()); err != nil {
		return c.endingOf(err).err
	}
	return fail(fault.Local, "talk to", c.ends.Remote, ErrClosed)
}

// await waits for the remote's grant, for those whom OpenStream refused. It takes the stream, so
// that the grant cannot be lost, and the next OpenStream gets it.
func (c *conn) await() {
	for {
		c.mu.Lock()
		if !c.refused || c.sink == nil || c.why != nil {
			c.waiting = false
			c.mu.Unlock()
			return
		}
		have := c.spare != nil
		c.mu.Unlock()
		if !have {
			qs, err := c.qc.OpenStreamSync(context.Background())
			if err != nil {
				return // the connection has ended
			}
			c.mu.Lock()
			c.spare = qs
			c.mu.Unlock()
		}
		c.canOpen()
	}
}

func (c *conn) canOpen() {
	c.deliver.Lock()
	defer c.deliver.Unlock()
	c.mu.Lock()
	c.refused = false
	sink, over := c.sink, c.over
	c.mu.Unlock()
	if !over {
		sink.CanOpen()
	}
}

// Close implements conduit.Muxed.
func (c *conn) Close(code uint32, reason string) error {
	reason = shorten(reason)
	c.end(&ending{code: code, err: &CodeError{Code: code, Op: "connection closed", Reason: reason}}, reason)
	return nil
}

// end closes the connection, for whoever comes first. quic-go waits until its own goroutine is done,
// so a pump does.
func (c *conn) end(why *ending, reason string) {
	c.mu.Lock()
	first := c.why == nil
	if first {
		c.why = why
	}
	c.mu.Unlock()
	if first {
		c.pump("close", func() {
			if c.confirmed.missing() {
				c.loseAll() // now, not behind the wait
				c.confirmed.wait(c.qc.Context())
			}
			_ = c.qc.CloseWithError(quicgo.ApplicationErrorCode(why.code), reason)
			<-c.ending
		})
	}
}

// failed contains a panic of the conduit's owner.
func (c *conn) failed(pe *actors.PanicError) {
	c.end(&ending{code: panicCode, err: pe}, "")
	c.mu.Lock()
	over := c.over
	c.mu.Unlock()
	if over { // it happened while the end was told: the rest has to hear of it as well
		c.t.rt.Pump("quic end", c.finish, ignore)
	}
}

// finish tells the end to everybody. It runs once the connection has ended.
func (c *conn) finish() {
	c.mu.Lock()
	if c.why == nil {
		c.why = c.endingOf(context.Cause(c.qc.Context()))
	}
	c.over = true
	c.mu.Unlock()
	c.loseAll()
	c.tell()
}

func (c *conn) loseAll() {
	for s := c.next(); s != nil; s = c.next() {
		s.lose(c.why)
	}
}

// next takes a stream off the books.
func (c *conn) next() *stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, s := range c.streams {
		delete(c.streams, id)
		return s
	}
	return nil
}

// tell lets the present sink know of the end, once.
func (c *conn) tell() {
	c.deliver.Lock()
	defer c.deliver.Unlock()
	c.mu.Lock()
	told, sink, why := c.told, c.sink, c.why
	c.told = sink != nil
	c.mu.Unlock()
	if !told && sink != nil {
		sink.Ended(why.code, why.remote, why.err)
	}
}

// shorten makes a reason fit into a packet.
func shorten(reason string) string {
	if len(reason) <= maxReason {
		return reason
	}
	cut := maxReason
	for cut > 0 && reason[cut]&0xc0 == 0x80 {
		cut--
	}
	return reason[:cut]
}

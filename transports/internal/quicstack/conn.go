package quicstack

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/bucket"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"
	"github.com/troupe-p2p/troupe/transports/internal/muxed"

	quicgo "github.com/quic-go/quic-go"
)

const (
	// panicCode is what the remote sees of a stream or connection whose owner panicked here. Whoever
	// wants to tell it more catches the panic before it comes to this.
	panicCode = 0
	// RateLimited is libp2p's code for a remote that does too much of something.
	RateLimited = 0x1002
)

// ResetBurst and resetRate are package yamux's budget for streams that a remote opens and resets: each
// costs us what no stream limit counts, since it is over before anybody looks.
const (
	ResetBurst = 1000
	resetRate  = 200
)

// Conn is one connection. Whoever bound a sink last owns it.
//
// Locks are taken in the order deliver, a stream's mu, the connection's mu.
type Conn struct {
	rt     *actors.Runtime
	s      *socket
	qc     *quicgo.Conn
	ends   conduit.Endpoints
	p      Params
	proven bool

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
	why       *Ending        // set by the first reason to end
	over      bool           // nothing comes any more
	told      bool           // the present sink knows
}

var _ conduit.Muxed = (*Conn)(nil)

// Pump starts one of the connection's goroutines. A panic in it is one of the conduit's owner.
func (c *Conn) Pump(what string, f func()) { c.rt.Pump(c.ends.Transport+" "+what, f, c.Failed) }

// QUIC is what it runs over, and UDP what that runs over.
func (c *Conn) QUIC() *quicgo.Conn { return c.qc }

// UDP is the socket.
func (c *Conn) UDP() *net.UDPConn { return c.s.pc }

// Layer is what lies over QUIC.
func (c *Conn) Layer() Layer { return c.p.Layer }

// Proven says that the remote has shown that it is at its address before anything was kept for it.
func (c *Conn) Proven() bool { return c.proven }

// Confirmed is closed when the server says that it has finished the handshake of a dialled connection.
func (c *Conn) Confirmed() <-chan struct{} { return c.confirmed.done }

// Endpoints implements conduit.Muxed.
func (c *Conn) Endpoints() conduit.Endpoints { return c.ends }

// Peer implements conduit.Muxed.
func (c *Conn) Peer() identity.ID { return c.p.Peer }

// PublicKey implements conduit.Muxed.
func (c *Conn) PublicKey() identity.PublicKey { return c.p.Key }

// Bind implements conduit.Muxed. Streams of the remote wait in the QUIC stack until the first one.
func (c *Conn) Bind(s conduit.MuxedSink) {
	c.mu.Lock()
	c.sink, c.told = s, false
	start, late := !c.accepting, c.over
	c.accepting = true
	owed := c.refused && !c.waiting && !late
	c.waiting = c.waiting || owed
	c.mu.Unlock()
	switch {
	case late:
		c.rt.Pump(c.ends.Transport+" end", c.tell, ignore)
	case start:
		c.Pump("accept", c.accept)
	}
	if owed {
		c.Pump("open", c.await)
	}
}

func (c *Conn) accept() {
	c.p.Layer.Accept(c)
	<-c.ending // finish tells
}

// Accepted hands a stream over, unless its remote has reset it by now: nobody has seen it, nobody has
// to. Its place would be taken until somebody did.
func (c *Conn) Accepted(qs *quicgo.Stream) {
	if code, ok := resetAlready(qs); ok {
		qs.CancelWrite(code)
		qs.CancelRead(code)
		c.Wasted()
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

// Wasted counts a stream that the remote has opened and reset. Who does nothing else loses the
// connection.
func (c *Conn) Wasted() {
	c.mu.Lock()
	ok := c.resets.Take(1, c.rt.Now())
	c.mu.Unlock()
	if !ok {
		c.End(&Ending{Code: RateLimited, Err: c.fail(fault.Limit, "talk to", muxed.ErrResets)}, muxed.ErrResets.Error())
	}
}

// opened says that the remote opened a stream. RFC 9000, section 2.1: "The least significant bit (0x01)
// of the stream ID identifies the initiator of the stream", and 0 is the client.
func (c *Conn) opened(id quicgo.StreamID) bool {
	return (id&1 == 0) == (c.ends.Direction == conduit.Inbound)
}

// add books a stream; nil if the connection has ended or is about to.
func (c *Conn) add(qs *quicgo.Stream) *stream {
	s := &stream{c: c, qs: qs, wake: make(chan struct{}, 1)}
	if !c.opened(qs.StreamID()) {
		s.head = c.p.Layer.Head()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why != nil {
		return nil
	}
	c.streams[qs.StreamID()] = s
	return s
}

func (c *Conn) remove(s *stream) {
	c.mu.Lock()
	delete(c.streams, s.qs.StreamID())
	c.mu.Unlock()
}

// OpenStream implements conduit.Muxed.
func (c *Conn) OpenStream() (conduit.MuxedStream, error) {
	c.mu.Lock()
	if c.why != nil {
		c.mu.Unlock()
		return nil, c.why.Err
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
	return nil, c.gone(nil)
}

func (c *Conn) cannotOpen(err error) error {
	var full *quicgo.StreamLimitReachedError
	if !errors.As(err, &full) {
		return c.gone(err)
	}
	c.mu.Lock()
	c.refused = true
	start := !c.waiting && c.why == nil
	c.waiting = c.waiting || start
	c.mu.Unlock()
	if start {
		c.Pump("open", c.await)
	}
	return c.fail(fault.Remote, "open a stream to", muxed.ErrStreamLimit)
}

// gone is why nothing goes on a connection that has ended or is about to. err is what the QUIC stack said,
// if it was asked: its streams hear of the end a moment before the connection's context tells it.
func (c *Conn) gone(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why != nil {
		return c.why.Err
	}
	if cause := context.Cause(c.qc.Context()); cause != nil {
		err = cause
	}
	if err != nil {
		return c.endingOf(err).Err
	}
	return c.fail(fault.Local, "talk to", muxed.ErrClosed)
}

// await waits for the remote's grant, for those whom OpenStream refused. It takes the stream, so
// that the grant cannot be lost, and the next OpenStream gets it.
func (c *Conn) await() {
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

func (c *Conn) canOpen() {
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
func (c *Conn) Close(code uint32, reason string) error {
	reason = muxed.Shorten(reason)
	c.End(c.closed(code, false, reason), reason)
	return nil
}

// Closed is the remote's goodbye, where it comes by another way than the end of the connection.
func (c *Conn) Closed(code uint32, reason string) { c.End(c.closed(code, true, reason), "") }

// End closes the connection, for whoever comes first. quic-go waits until its own goroutine is done,
// so a pump does.
func (c *Conn) End(why *Ending, reason string) {
	c.mu.Lock()
	first := c.why == nil
	if first {
		c.why = why
	}
	c.mu.Unlock()
	if first {
		c.Pump("close", func() {
			c.p.Layer.Close(c, *why, reason)
			<-c.ending
		})
	}
}

// Failed contains a panic of the conduit's owner.
func (c *Conn) Failed(pe *actors.PanicError) {
	c.End(&Ending{Code: panicCode, Err: pe}, "")
	c.mu.Lock()
	over := c.over
	c.mu.Unlock()
	if over { // it happened while the end was told: the rest has to hear of it as well
		c.rt.Pump(c.ends.Transport+" end", c.finish, ignore)
	}
}

// finish tells the end to everybody. It runs once the connection has ended.
func (c *Conn) finish() {
	c.mu.Lock()
	if c.why == nil {
		c.why = c.endingOf(context.Cause(c.qc.Context()))
	}
	c.over = true
	c.mu.Unlock()
	c.LoseAll()
	c.tell()
}

// LoseAll tells the owners of all streams that the connection ends.
func (c *Conn) LoseAll() {
	for s := c.next(); s != nil; s = c.next() {
		s.lose(c.why)
	}
}

// next takes a stream off the books.
func (c *Conn) next() *stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, s := range c.streams {
		delete(c.streams, id)
		return s
	}
	return nil
}

// tell lets the present sink know of the end, once.
func (c *Conn) tell() {
	c.deliver.Lock()
	defer c.deliver.Unlock()
	c.mu.Lock()
	told, sink, why := c.told, c.sink, c.why
	c.told = sink != nil
	c.mu.Unlock()
	if !told && sink != nil {
		sink.Ended(why.Code, why.Remote, why.Err)
	}
}

// ignore is for pumps that bring the news of a panic: who panics on it is beyond help.
func ignore(*actors.PanicError) {}

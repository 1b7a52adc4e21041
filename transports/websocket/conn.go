package websocket

import (
	"io"
	"net"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/unsent"
)

// conn is one connection. Whoever bound a Sink last owns it.
type conn struct {
	rt    *actors.Runtime
	ws    *websocket.Conn // makes and reads frames; reading is the reader's, writing that of the owner's turn
	wire  *wire
	queue *queue
	ends  conduit.Endpoints
	most  int // bytes of one read

	msg io.Reader // reader: the message that is being read

	// deliver is held while a method of the sink runs, so that reader and drainer take turns.
	// Nothing that a sink may call takes it.
	deliver sync.Mutex

	mu       sync.Mutex
	wake     sync.Cond // of mu: credits were granted, or the conn was closed
	sink     conduit.Sink
	credits  int
	why      error // set with over
	reading  bool  // the reader was started
	over     bool  // the reader has ended
	told     bool  // the present sink knows
	draining bool
	drain    int    // number of the present or last Drain
	rest     []byte // of the present Drain, not framed yet
	closed   bool
	bug      *actors.PanicError // of the sink or of us: the better reason for the end
}

var (
	_ conduit.Raw      = (*conn)(nil)
	_ conduit.Resetter = (*conn)(nil)
)

// newConn takes over a connection after its handshake.
func (t *Transport) newConn(ws *websocket.Conn, w *wire, raw net.Conn, ends conduit.Endpoints) *conn {
	c := &conn{rt: t.rt, ws: ws, wire: w, ends: ends, most: t.cfg.ReadBuffer}
	c.wake.L = &c.mu
	c.queue = &queue{
		rt: t.rt, label: c.pump("write"), nc: w.nc, raw: raw,
		refill: c.refill, lost: c.writerLost, panicked: c.writerPanicked,
	}
	if w.nc == raw && !t.cfg.indirect {
		c.queue.direct = newDirect(raw)
	}
	if tc, ok := raw.(*net.TCPConn); ok {
		unsent.Bound(tc)
	}
	w.queue, w.toll.since = c.queue, t.rt.Now()
	ws.SetReadLimit(t.cfg.MaxMessage)
	ws.SetPingHandler(c.pinged)
	ws.SetCloseHandler(c.saidGoodbye)
	return c
}

// Endpoints implements conduit.Raw.
func (c *conn) Endpoints() conduit.Endpoints { return c.ends }

// Bind implements conduit.Raw.
func (c *conn) Bind(s conduit.Sink, credits int) {
	c.mu.Lock()
	c.sink, c.credits, c.told = s, max(credits, 1), false
	start, late := !c.reading, c.over
	c.reading = true
	c.mu.Unlock()
	c.wake.Signal()
	switch {
	case start:
		c.rt.Pump(c.pump("read"), c.read, c.readerFailed)
	case late:
		c.rt.Pump(c.pump("end"), c.tell, ignore)
	}
}

// More implements conduit.Raw.
func (c *conn) More() {
	c.mu.Lock()
	c.credits++
	c.mu.Unlock()
	c.wake.Signal()
}

// Close implements conduit.Raw. What was taken for sending is still sent, and a goodbye after it,
// for as long as lingerTime in a pump, and by the kernel beyond that.
func (c *conn) Close() error { return c.close(false) }

// Reset implements conduit.Resetter.
func (c *conn) Reset() error { return c.close(true) }

func (c *conn) close(reset bool) error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	draining, id := c.draining, c.drain
	c.rest = nil
	c.mu.Unlock()
	c.wake.Signal()
	if reset {
		if tc, ok := c.queue.raw.(*net.TCPConn); ok {
			_ = tc.SetLinger(0) // it fails if the connection is gone already
		}
		c.queue.abort()
	} else {
		_ = c.goodbye(websocket.CloseNormalClosure, "")
		// Wakes the reader: nothing that comes now is for anybody.
		_ = c.queue.raw.SetReadDeadline(time.Unix(1, 0))
		c.queue.finish()
	}
	if draining {
		c.rt.Pump(c.pump("drain"), func() { c.drained(id, c.end("write to", net.ErrClosed)) }, ignore)
	}
	return nil
}

// goodbye queues a close frame: RFC 6455 section 5.5.1. There is room for it, and for one only.
func (c *conn) goodbye(code int, why string) error {
	return c.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, why), time.Time{})
}

// saidGoodbye is called by the library, in the reader, for a close frame.
func (c *conn) saidGoodbye(code int, _ string) error {
	_ = c.goodbye(code, "")
	_ = c.queue.flush()
	return nil
}

// pinged is called by the library, in the reader. A remote that asks and does not read gets no
// answer, which section 5.5.3 allows as long as it gets the last one.
func (c *conn) pinged(data string) error {
	if c.queue.spare() {
		_ = c.ws.WriteControl(websocket.PongMessage, []byte(data), time.Time{})
		_ = c.queue.flush()
	}
	return nil // what is wrong with writing is for those who write
}

func (c *conn) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// failed contains a panic: of the sink, for the most part, on what the remote sent.
func (c *conn) failed(pe *actors.PanicError) {
	c.mu.Lock()
	if c.bug == nil {
		c.bug = pe
	}
	c.mu.Unlock()
	_ = c.Close()
}

// pump is the name of a goroutine as the runtime shows it.
func (c *conn) pump(what string) string { return "ws " + what + " " + c.wire.RemoteAddr().String() }

// ignore is for pumps that bring the news of a panic: who panics on it is beyond help.
func ignore(*actors.PanicError) {}

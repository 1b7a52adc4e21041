package websocket

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"
	"github.com/troupe-p2p/troupe/transports/internal/unsent"
)

// conn is one connection. Whoever bound a Sink last owns it.
type conn struct {
	rt    *actors.Runtime
	ws    *websocket.Conn // makes and reads frames; reading is the reader's, writing that of the owner's turn
	wire  *wire
	queue *queue
	ends  conduit.Endpoints

	msg io.Reader // reader: the message that is being read

	owner sockets.Owner

	mu    sync.Mutex
	drain int    // the Drain that rest is of
	rest  []byte // of it, not framed yet
}

var (
	_ conduit.Raw      = (*conn)(nil)
	_ conduit.Resetter = (*conn)(nil)
)

// newConn takes over a connection after its handshake.
func (t *Transport) newConn(ws *websocket.Conn, w *wire, raw net.Conn, ends conduit.Endpoints) *conn {
	c := &conn{rt: t.rt, ws: ws, wire: w, ends: ends}
	c.owner.Init(t.rt, (*line)(c), t.cfg.ReadBuffer, true)
	c.queue = &queue{
		rt: t.rt, label: c.label("write"), nc: w.nc, raw: raw,
		refill: c.refill, lost: c.writerLost, panicked: c.writerPanicked,
	}
	if tc, ok := raw.(*net.TCPConn); ok {
		if w.nc == raw && !t.cfg.indirect {
			c.queue.direct = sockets.NewWriter(tc)
		}
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
func (c *conn) Bind(s conduit.Sink, credits int) { c.owner.Bind(s, credits) }

// More implements conduit.Raw.
func (c *conn) More() { c.owner.More() }

// Close implements conduit.Raw. What was taken for sending is still sent, and a goodbye after it,
// for as long as lingerTime in a pump, and by the kernel beyond that, unless there are bytes that
// nobody has read: then the remote sees a reset.
func (c *conn) Close() error { return c.close(false) }

// Reset implements conduit.Resetter.
func (c *conn) Reset() error { return c.close(true) }

func (c *conn) close(reset bool) error {
	if !c.owner.Shut() {
		return nil
	}
	c.mu.Lock()
	id := c.drain
	c.rest = nil
	c.mu.Unlock()
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
	if c.owner.Draining() {
		c.owner.DrainedLater(id, c.why("write to", net.ErrClosed))
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

func (c *conn) why(op string, err error) error { return (*line)(c).Why(op, err) }
func (c *conn) label(what string) string       { return (*line)(c).Label(what) }

// line is a conn as its owner's reader sees it.
type line conn

func (l *line) Close() error { return (*conn)(l).Close() }

func (l *line) Label(what string) string {
	return name + " " + what + " " + l.wire.RemoteAddr().String()
}

// Why leaves a bug of ours what it is.
func (l *line) Why(op string, err error) error {
	var pe *actors.PanicError
	if errors.As(err, &pe) {
		return err
	}
	return fail(origin(err), op, l.ends.Remote, err)
}

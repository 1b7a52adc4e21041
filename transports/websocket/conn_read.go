package websocket

import (
	"errors"
	"io"

	"github.com/gorilla/websocket"

	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/transports/internal/fault"
)

// Next implements sockets.Line: the next piece of a message, wherever it begins and ends. Between
// messages it waits without a buffer, and the length that a message announces allocates nothing.
func (l *line) Next(size int) (*buf.Buf, error) {
	c := (*conn)(l)
	for {
		if c.msg == nil {
			kind, r, err := c.ws.NextReader()
			switch {
			case err != nil:
				return nil, c.stopped(err)
			case kind != websocket.BinaryMessage:
				return nil, c.refuse(websocket.CloseUnsupportedData, fault.Remote, ErrText)
			}
			c.msg = r
		}
		b := buf.Get(size)
		n, err := c.msg.Read(b.B)
		if n > 0 {
			c.wire.toll.brought(n)
			b.B = b.B[:n]
			return b, nil // an error that came with bytes comes again
		}
		b.Release()
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			c.msg = nil
		default:
			return nil, c.stopped(err)
		}
	}
}

// stopped is why the library reads no more.
func (c *conn) stopped(err error) error {
	switch {
	case errors.Is(c.wire.readErr, ErrEmpty):
		return c.refuse(websocket.ClosePolicyViolation, fault.Remote, ErrEmpty)
	case errors.Is(err, websocket.ErrReadLimit):
		return c.refuse(websocket.CloseMessageTooBig, fault.Limit, ErrTooLong)
	}
	_ = c.queue.flush() // the library may have told the remote what was wrong
	return c.readEnd(err)
}

// refuse tells the remote what is wrong with what it sends, unless the library has done so.
func (c *conn) refuse(code int, o fault.Origin, why error) error {
	_ = c.goodbye(code, why.Error())
	_ = c.queue.flush()
	return fail(o, "read from", c.ends.Remote, why)
}

package websocket

import (
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/gorilla/websocket"

	"github.com/troupe-p2p/troupe/transports/internal/fault"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"

	ma "github.com/multiformats/go-multiaddr"
)

// Error is the error of this package; errors.Is sees through it to those of net, syscall, crypto/tls
// and crypto/x509.
type Error = fault.Error

var (
	// ErrNoCertificate: to listen on /wss takes a certificate in the Config.
	ErrNoCertificate = errors.New("no certificate to listen with: set CertFile and KeyFile, or TLS, in websocket.Config")
	// ErrText: libp2p speaks in binary messages.
	ErrText = errors.New("a text message, where binary ones are spoken")
	// ErrEmpty: the remote sends frames without data, pings among them, beyond all need.
	ErrEmpty = errors.New("too many frames without data")
	// ErrTooLong: a message is longer than Config.MaxMessage.
	ErrTooLong = errors.New("a message is too long")
	// ErrRefused: the answer to our request is none to a WebSocket's.
	ErrRefused = errors.New("no WebSocket is served there")

	errHeader    = errors.New("an HTTP header is too long")
	errExtension = errors.New("the answer has an extension that was not asked for")
	errProtocol  = errors.New("the answer has a subprotocol that was not asked for")
	errGoodbye   = errors.New("the remote has closed the connection with code")
	errQueueFull = errors.New("the write queue is full")
)

func fail(o fault.Origin, op string, addr ma.Multiaddr, err error) error {
	return sockets.Fail(name, o, op, addr, err)
}

// readEnd is why reading has stopped: io.EOF if the remote has said goodbye. The end of the socket
// alone says nothing: a remote that crashed looks like that too.
func (c *conn) readEnd(err error) error {
	const op = "read from"
	var ce *websocket.CloseError
	switch {
	case c.owner.Closed():
		return c.why(op, net.ErrClosed)
	case c.wire.readErr != nil && !errors.Is(c.wire.readErr, io.EOF):
		return c.why(op, c.wire.readErr) // the library keeps nothing of it but the text
	case !errors.As(err, &ce):
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return c.why(op, err)
	}
	switch ce.Code {
	case websocket.CloseNormalClosure, websocket.CloseGoingAway, websocket.CloseNoStatusReceived:
		return io.EOF
	case websocket.CloseAbnormalClosure:
		return c.why(op, io.ErrUnexpectedEOF)
	}
	// What the remote says of it is for people to see.
	return fail(fault.Remote, op, c.ends.Remote, fmt.Errorf("%w %d %q", errGoodbye, ce.Code, ce.Text))
}

// writeEnd is why a write failed.
func (c *conn) writeEnd(err error) error {
	const op = "write to"
	switch {
	case c.owner.Closed():
		return c.why(op, net.ErrClosed)
	case errors.Is(err, websocket.ErrCloseSent):
		return fail(fault.Remote, op, c.ends.Remote, sockets.ErrRemoteClosed)
	}
	if first := c.queue.failure(); first != nil {
		err = first // the library keeps nothing of it but the text
	}
	return c.why(op, err)
}

// origin tells what this machine refuses from what the other end or the network does.
func origin(err error) fault.Origin {
	switch {
	case sockets.Ours(err):
		return fault.Local
	case sockets.Exhausted(err), errors.Is(err, errQueueFull):
		return fault.Limit
	}
	return fault.Remote
}

package quicstack

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/troupe-p2p/troupe/internal/clean"
	"github.com/troupe-p2p/troupe/transports/internal/fault"
	"github.com/troupe-p2p/troupe/transports/internal/muxed"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"

	ma "github.com/multiformats/go-multiaddr"
	quicgo "github.com/quic-go/quic-go"
)

// DialError is why a handshake of ours did not succeed. found says more than the alert that the stack
// made of it, if it is not nil.
func DialError(ctx context.Context, transport string, a ma.Multiaddr, found, err error) error {
	switch {
	case ctx.Err() != nil:
		return sockets.Fail(transport, fault.Local, "dial", a, fault.Canceled(ctx))
	case found != nil:
		return sockets.Fail(transport, fault.Remote, "dial", a, found)
	}
	return sockets.Fail(transport, OriginOf(err), "dial", a, reason(err))
}

// endingOf makes one of the error that a connection ended with.
func (c *Conn) endingOf(err error) *Ending {
	var ae *quicgo.ApplicationError
	if errors.As(err, &ae) {
		code := c.p.Layer.FromConnCode(ae.ErrorCode)
		return c.closed(code, ae.Remote, clean.Text(ae.ErrorMessage, clean.MaxError))
	}
	return &Ending{Err: c.fail(OriginOf(err), "talk to", reason(err))}
}

// closed is the end of a connection by a code.
func (c *Conn) closed(code uint32, remote bool, reason string) *Ending {
	return &Ending{code, remote, &muxed.CodeError{Transport: c.ends.Transport, Code: code, Remote: remote, Op: "connection closed", Reason: reason}}
}

func (c *Conn) fail(o fault.Origin, op string, err error) error {
	return sockets.Fail(c.ends.Transport, o, op, c.ends.Remote, err)
}

// reason gives an error of the QUIC stack the words that people know it by.
func reason(err error) error {
	var idle *quicgo.IdleTimeoutError
	var late *quicgo.HandshakeTimeoutError
	var reset *quicgo.StatelessResetError
	switch {
	case errors.As(err, &idle), errors.As(err, &late):
		return fmt.Errorf("no answer: %w", os.ErrDeadlineExceeded)
	case errors.As(err, &reset):
		return fmt.Errorf("it has forgotten the connection: %w", err)
	}
	return clean.Error(err)
}

// OriginOf tells what this machine refuses from what the other end or the network does. quic-go's own
// errors come first: all of them pass for net.ErrClosed.
func OriginOf(err error) fault.Origin {
	var transport *quicgo.TransportError
	var idle *quicgo.IdleTimeoutError
	var late *quicgo.HandshakeTimeoutError
	var reset *quicgo.StatelessResetError
	var version *quicgo.VersionNegotiationError
	switch {
	case errors.As(err, &transport) && !transport.Remote && transport.ErrorCode == quicgo.InternalError:
		return fault.Local
	case errors.As(err, &transport): // what we send says what the remote did wrong
		return fault.Remote
	case errors.As(err, &idle), errors.As(err, &late), errors.As(err, &reset), errors.As(err, &version):
		return fault.Remote
	case sockets.Exhausted(err):
		return fault.Limit
	case sockets.Ours(err): // among others a socket that failed: quicgo.ErrTransportClosed
		return fault.Local
	}
	return fault.Remote
}

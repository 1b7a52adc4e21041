package quic

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"

	"github.com/troupe-p2p/troupe/internal/clean"
	"github.com/troupe-p2p/troupe/negotiation/tls"
	"github.com/troupe-p2p/troupe/transports/internal/fault"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"

	ma "github.com/multiformats/go-multiaddr"
	quicgo "github.com/quic-go/quic-go"
)

// Error is the error of this package; errors.Is sees through it to quic-go's and net's.
type Error = fault.Error

var (
	// ErrAddress: the address is not one of QUIC over IP.
	ErrAddress = errors.New("not a QUIC address: want /ip4/.../udp/.../quic-v1 or /ip6/.../udp/.../quic-v1")
	// ErrNoKey: the transport was given neither a key nor a node to join.
	ErrNoKey = errors.New("whose it is was not said: it needs Config.Key, or a node that it joins")
	// ErrKey: Config.Key is not that of the node that the transport joined.
	ErrKey = errors.New("quic: Config.Key is another than the node's")
	// ErrClosed: this end was closed.
	ErrClosed = errors.New("stream or connection is closed")
	// ErrStreamLimit: the remote lets no more streams be opened now. CanOpen follows.
	ErrStreamLimit = errors.New("as many streams are open as the remote allows")
	// ErrWriteClosed: a write after CloseWrite.
	ErrWriteClosed = errors.New("write after CloseWrite")
	// ErrResets: the remote opens streams and resets them faster than it may.
	ErrResets = errors.New("the remote opens and resets streams faster than the budget")
)

// CodeError is the end of a stream or of a connection by a code.
type CodeError struct {
	Code   uint32
	Remote bool   // the remote's code
	Op     string // what ended: "stream reset", "reading stopped", "connection closed"
	Reason string // of a close; may be empty
}

func (e *CodeError) Error() string {
	side := fault.Local
	if e.Remote {
		side = fault.Remote
	}
	text := fmt.Sprintf("%s: %s: %s, code 0x%x", name, side, e.Op, e.Code)
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	return text
}

// code32 is a remote's code, which may have up to 62 bits.
func code32[C ~uint64](c C) uint32 { return uint32(min(uint64(c), math.MaxUint32)) }

func fail(o fault.Origin, op string, addr ma.Multiaddr, err error) error {
	return sockets.Fail(name, o, op, addr, err)
}

// dialError is why a handshake of ours did not succeed.
func dialError(ctx context.Context, a ma.Multiaddr, found *tls.Found, err error) error {
	switch {
	case ctx.Err() != nil:
		return fail(fault.Local, "dial", a, fault.Canceled(ctx))
	case found.Err != nil: // says more than the alert that the stack made of it
		return fail(fault.Remote, "dial", a, found.Err)
	}
	return fail(origin(err), "dial", a, reason(err))
}

// ending is how a connection or stream ended.
type ending struct {
	code   uint32
	remote bool // the remote sent the code
	err    error
}

// endingOf makes one of the error that a connection ended with.
func (c *conn) endingOf(err error) *ending {
	var ae *quicgo.ApplicationError
	if errors.As(err, &ae) {
		e := &CodeError{Code: code32(ae.ErrorCode), Remote: ae.Remote, Op: "connection closed",
			Reason: clean.Text(ae.ErrorMessage, clean.MaxError)}
		return &ending{e.Code, e.Remote, e}
	}
	return &ending{err: fail(origin(err), "talk to", c.ends.Remote, reason(err))}
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

// origin tells what this machine refuses from what the other end or the network does. quic-go's own
// errors come first: all of them pass for net.ErrClosed.
func origin(err error) fault.Origin {
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

package webrtc

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
)

// Error is the error of this package; errors.Is sees through it to pion's and net's.
type Error = fault.Error

// CodeError is the end of a stream or of a connection by a code.
type CodeError = muxed.CodeError

var (
	// ErrAddress: the address is not one of WebRTC-direct over IP.
	ErrAddress = errors.New("not a WebRTC-direct address: want /ip4/.../udp/.../webrtc-direct, to dial with /certhash/...")
	// ErrNoCertHash: the address to dial does not say what certificate the remote has.
	ErrNoCertHash = errors.New("no certhash in the address: without it nobody can tell who answers")
	// ErrHash: the address has certhashes of other functions than SHA-256 only.
	ErrHash = errors.New("no certhash in the address that can be checked: want SHA-256")
	// ErrFingerprint: the remote has another certificate than its address says.
	ErrFingerprint = errors.New("its certificate is not the one whose certhash is in the address")
	// ErrNoKey: the transport was given neither a key nor a node to join.
	ErrNoKey = errors.New("whose it is was not said: it needs Config.Key, or a node that it joins")
	// ErrKey: Config.Key is not that of the node that the transport joined.
	ErrKey = errors.New("webrtc: Config.Key is another than the node's")
	// ErrVersion: Config.Version is none.
	ErrVersion = errors.New("webrtc: Config.Version is neither 1 nor 2")
	// ErrClosed: this end was closed.
	ErrClosed = muxed.ErrClosed
	// ErrStreamLimit: as many streams are open as may be. CanOpen follows.
	ErrStreamLimit = muxed.ErrStreamLimit
	// ErrWriteClosed: a write after CloseWrite.
	ErrWriteClosed = muxed.ErrWriteClosed
	// ErrResets: the remote opens streams and resets them faster than it may.
	ErrResets = muxed.ErrResets
	// ErrLingering: the remote leaves channels open that this end has closed, more than it may.
	ErrLingering = errors.New("the remote does not close its side of channels")
	// ErrStalled: nobody read a stream for as long as Config.Stall, and others had to wait for that.
	ErrStalled = errors.New("nobody reads it, and it holds up the other streams of the connection")
	// ErrProtocol: the remote does what the protocol does not allow.
	ErrProtocol = errors.New("protocol violation")
)

func fail(o fault.Origin, op string, addr ma.Multiaddr, err error) error {
	return sockets.Fail(name, o, op, addr, err)
}

// handshakeError is why a handshake did not succeed. ctx is that of the caller, and has no deadline of
// ours in it.
func handshakeError(ctx context.Context, op string, a ma.Multiaddr, err error) error {
	switch {
	case ctx.Err() != nil:
		return fail(fault.Local, op, a, fault.Canceled(ctx))
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return fail(fault.Remote, op, a, fmt.Errorf("no answer: %w", os.ErrDeadlineExceeded))
	}
	return fail(origin(err), op, a, clean.Error(err))
}

// ending is how a connection or stream ended.
type ending struct {
	code   uint32
	remote bool // the remote sent the code
	err    error
}

func resetBy(code uint32, remote bool) *ending {
	return &ending{code, remote, &CodeError{Transport: name, Code: code, Remote: remote, Op: "stream reset"}}
}

// origin tells what this machine refuses from what the other end or the network does.
func origin(err error) fault.Origin {
	switch {
	case sockets.Exhausted(err):
		return fault.Limit
	case sockets.Ours(err):
		return fault.Local
	}
	return fault.Remote
}

package webtransport

import (
	"errors"

	"github.com/troupe-p2p/troupe/transports/internal/fault"
	"github.com/troupe-p2p/troupe/transports/internal/muxed"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"

	ma "github.com/multiformats/go-multiaddr"
)

// Error is the error of this package; errors.Is sees through it to quic-go's and net's.
type Error = fault.Error

// CodeError is the end of a stream or of a session by a code.
type CodeError = muxed.CodeError

var (
	// ErrAddress: the address is not one of WebTransport over IP.
	ErrAddress = errors.New("not a WebTransport address: want /ip4/.../udp/.../quic-v1/webtransport/certhash/... or /ip6/...")
	// ErrNoKey: the transport was given neither a key nor a node to join.
	ErrNoKey = errors.New("whose it is was not said: it needs Config.Key, or a node that it joins")
	// ErrKey: Config.Key is not that of the node that the transport joined.
	ErrKey = errors.New("webtransport: Config.Key is another than the node's")
	// ErrRefused: the server answers CONNECT, but not with a session.
	ErrRefused = errors.New("the server gives no session")
	// ErrClosed: this end was closed.
	ErrClosed = muxed.ErrClosed
	// ErrStreamLimit: the remote lets no more streams be opened now. CanOpen follows.
	ErrStreamLimit = muxed.ErrStreamLimit
	// ErrWriteClosed: a write after CloseWrite.
	ErrWriteClosed = muxed.ErrWriteClosed
	// ErrResets: the remote opens streams and resets them faster than it may.
	ErrResets = muxed.ErrResets
)

func fail(o fault.Origin, op string, a ma.Multiaddr, err error) error {
	return sockets.Fail(name, o, op, a, err)
}

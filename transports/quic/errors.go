package quic

import (
	"errors"

	"github.com/troupe-p2p/troupe/transports/internal/fault"
	"github.com/troupe-p2p/troupe/transports/internal/muxed"
)

// Error is the error of this package; errors.Is sees through it to quic-go's and net's.
type Error = fault.Error

// CodeError is the end of a stream or of a connection by a code.
type CodeError = muxed.CodeError

var (
	// ErrAddress: the address is not one of QUIC over IP.
	ErrAddress = errors.New("not a QUIC address: want /ip4/.../udp/.../quic-v1 or /ip6/.../udp/.../quic-v1")
	// ErrNoKey: the transport was given neither a key nor a node to join.
	ErrNoKey = errors.New("whose it is was not said: it needs Config.Key, or a node that it joins")
	// ErrKey: Config.Key is not that of the node that the transport joined.
	ErrKey = errors.New("quic: Config.Key is another than the node's")
	// ErrClosed: this end was closed.
	ErrClosed = muxed.ErrClosed
	// ErrStreamLimit: the remote lets no more streams be opened now. CanOpen follows.
	ErrStreamLimit = muxed.ErrStreamLimit
	// ErrWriteClosed: a write after CloseWrite.
	ErrWriteClosed = muxed.ErrWriteClosed
	// ErrResets: the remote opens streams and resets them faster than it may.
	ErrResets = muxed.ErrResets
)

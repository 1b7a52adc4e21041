package memory

import (
	"errors"
	"fmt"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/transports/internal/fault"
	"github.com/troupe-p2p/troupe/transports/internal/muxed"

	ma "github.com/multiformats/go-multiaddr"
)

// Error is the error of this package; errors.Is sees through it to those below.
type Error = fault.Error

// CodeError is the end of a stream or of a Muxed conduit by a code.
type CodeError = muxed.CodeError

var (
	// ErrAddress: the address is not /memory/N.
	ErrAddress = errors.New("not a memory address: want /memory/...")
	// ErrRefused: nobody listens there.
	ErrRefused = errors.New("connection refused")
	// ErrInUse: somebody listens there.
	ErrInUse = errors.New("address already in use")
	// ErrBacklog: the listener has more connections waiting than it can hand over.
	ErrBacklog = errors.New("backlog of the listener is full")
	// ErrKind: one side yields Raw conduits and the other Muxed ones.
	ErrKind = errors.New("one side is muxed and the other is not")
	// ErrIdentity: another peer listens there than the one that was wanted.
	ErrIdentity = fmt.Errorf("the remote is another peer: %w", identity.ErrMismatch)
	// ErrNoKey: a muxed transport was configured without a key.
	ErrNoKey = errors.New("a muxed transport needs Config.Key, or a node to join")
	// ErrKey: Config.Key is not that of the node that the transport joined.
	ErrKey = errors.New("memory: Config.Key is another than the node's")
	// ErrClosed: this end was closed.
	ErrClosed = errors.New("conduit is closed")
	// ErrRemoteClosed: the remote closed its end, and nobody would read what is written.
	ErrRemoteClosed = errors.New("the remote has closed the conduit")
	// ErrStreamLimit: the remote lets no more streams be opened now. CanOpen follows.
	ErrStreamLimit = muxed.ErrStreamLimit
	// ErrWriteClosed: a write after CloseWrite.
	ErrWriteClosed = muxed.ErrWriteClosed
)

func fail(o fault.Origin, op string, addr ma.Multiaddr, err error) error {
	return &Error{Transport: name, Origin: o, Op: op, Addr: addr, Err: err}
}

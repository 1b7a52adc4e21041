package mux

import (
	"errors"
	"fmt"
	"io"

	"github.com/troupe-p2p/troupe/stream"
)

// Stream codes of go-libp2p's registry that a session itself uses.
const (
	// CodeNegotiation: the negotiation of the stream's protocol failed.
	CodeNegotiation uint32 = 0x1001
	// CodeResourceLimit: a limit of the receiver.
	CodeResourceLimit uint32 = 0x1002
)

// ResetError is the end of a stream in disorder.
type ResetError struct {
	Code     uint32
	Remote   bool // who reset it
	Protocol string
	Err      error // what the conduit says about it; may be nil
}

func (e *ResetError) Error() string {
	who := "local"
	if e.Remote {
		who = "remote"
	}
	text := fmt.Sprintf("%s: stream %s was reset with code %#x", who, e.Protocol, e.Code)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap is the conduit's reason.
func (e *ResetError) Unwrap() error { return noEnd(e.Err) }

// ErrTooLate is the answer to a request for a stream that came behind the end of the connection: none
// of it was begun. A *ConnError stands beside it.
var ErrTooLate = errors.New("a stream was asked for too late")

// noEnd keeps the end of something below from looking like an orderly end of the stream to a
// reader that asks errors.Is(err, io.EOF).
func noEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// ConnError is the end of a stream because its connection ended.
type ConnError struct {
	Code   uint32
	Remote bool
	Reason string
	Err    error
}

func (e *ConnError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("the connection has ended: %v", e.Err) // which says whose fault it is
	}
	who := "local"
	if e.Remote {
		who = "remote"
	}
	if e.Reason != "" {
		return fmt.Sprintf("%s: the connection was closed: %s (code %#x)", who, e.Reason, e.Code)
	}
	return fmt.Sprintf("%s: the connection was closed with code %#x", who, e.Code)
}

// Unwrap makes errors.Is(err, stream.ErrConnClosed) true, beside the cause.
func (e *ConnError) Unwrap() []error {
	if e.Err != nil {
		return []error{stream.ErrConnClosed, noEnd(e.Err)}
	}
	return []error{stream.ErrConnClosed}
}

// NegotiationError is the end of a stream because its protocol was not agreed on.
type NegotiationError struct {
	Protocols []string // what this end proposed; none for a stream that the remote opened
	Err       error
}

func (e *NegotiationError) Error() string {
	return fmt.Sprintf("remote: stream negotiation: %v", e.Err)
}

// Unwrap is the cause: one of package multistream's, or one of those below.
func (e *NegotiationError) Unwrap() error { return noEnd(e.Err) }

var (
	errNoAnswer = errors.New("no agreement in time")
	errNoWord   = errors.New("the stream was closed before there was an agreement")
)

// Package fault is the error of a transport: who is at fault, what was being done, and to whom.
//
//	tcp: remote: dial /ip4/192.0.2.1/tcp/4001: connection refused
//
// The adapters export it under their own names; it is one type, so one errors.As finds it.
package fault

import (
	"context"
	"errors"

	ma "github.com/multiformats/go-multiaddr"
)

// Origin says whose fault an error is.
type Origin uint8

// The origins.
const (
	Local  Origin = iota + 1 // this node, its configuration or its machine
	Remote                   // the other end, or the network between
	Limit                    // a bound of this node or its machine was reached
)

func (o Origin) String() string {
	switch o {
	case Local:
		return "local"
	case Remote:
		return "remote"
	case Limit:
		return "limit"
	}
	return "unknown"
}

// Error is a failure of a transport. Its text is put together when somebody reads it: most
// connections end with an error that nobody does.
type Error struct {
	Transport string
	Origin    Origin
	Op        string       // what was being done: "dial", "read from"
	Addr      ma.Multiaddr // to whom
	Err       error
}

func (e *Error) Error() string {
	return e.Transport + ": " + e.Origin.String() + ": " + e.Op + " " + e.Addr.String() + ": " + e.Err.Error()
}

// Unwrap is what went wrong.
func (e *Error) Unwrap() error { return e.Err }

// Timeout says that the other end took too long. Together with Temporary it makes Error a
// net.Error.
func (e *Error) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(e.Err, &t) && t.Timeout()
}

// ByRemote says that the other end, or the network between, is at fault.
func (e *Error) ByRemote() bool { return e.Origin == Remote }

// Temporary says that the same may work a little later.
func (e *Error) Temporary() bool { return e.Origin == Limit || e.Timeout() }

// Canceled is why ctx is done: its error, and the cause if somebody gave one.
func Canceled(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == nil || errors.Is(cause, err) {
		return err
	}
	return &canceled{err, cause}
}

type canceled struct{ err, cause error }

func (c *canceled) Error() string   { return c.err.Error() + ": " + c.cause.Error() }
func (c *canceled) Unwrap() []error { return []error{c.err, c.cause} }

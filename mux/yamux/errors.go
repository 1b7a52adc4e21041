package yamux

import (
	"errors"
	"io"
	"strconv"
)

// Origin says whose fault an error is.
type Origin uint8

// The origins.
const (
	Local  Origin = iota + 1 // this end was used wrongly
	Remote                   // the peer broke the protocol or vanished
	Limit                    // a bound of this end was reached
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

// Codes of a GoAway frame. The first three are the specification's, the others go-libp2p's
// (draft error code registry).
const (
	GoAwayNormal        uint32 = 0
	GoAwayProtocolError uint32 = 1
	GoAwayInternalError uint32 = 2
	GoAwayResourceLimit uint32 = 0x1001
	GoAwayRateLimited   uint32 = 0x1002
)

// Codes with which the session itself resets streams. The registry counts streams and
// connections differently: a stream's resource limit is 0x1002.
const (
	ResetResourceLimit uint32 = 0x1002
	ResetShutdown      uint32 = 0x1007
)

// Error is a fault with its origin. Those that end a session carry the code of the GoAway
// frame that told the peer; compare with errors.Is.
type Error struct {
	Origin Origin
	Code   uint32
	What   string
}

func (e *Error) Error() string { return "yamux: " + e.Origin.String() + ": " + e.What }

// Violations and limits. Each ends the session.
var (
	ErrShortHeader    = &Error{Remote, GoAwayProtocolError, "header is shorter than 12 bytes"}
	ErrVersion        = &Error{Remote, GoAwayProtocolError, "frame of an unknown version"}
	ErrType           = &Error{Remote, GoAwayProtocolError, "frame of an unknown type"}
	ErrFlags          = &Error{Remote, GoAwayProtocolError, "frame with unknown flags"}
	ErrStreamZero     = &Error{Remote, GoAwayProtocolError, "stream frame for stream 0"}
	ErrParity         = &Error{Remote, GoAwayProtocolError, "stream opened with an ID of our side"}
	ErrDoubleSYN      = &Error{Remote, GoAwayProtocolError, "open stream opened again"}
	ErrWindowExceeded = &Error{Remote, GoAwayProtocolError, "data beyond the window we granted"}
	ErrWindowOverflow = &Error{Remote, GoAwayProtocolError, "window update past 2^32-1 bytes"}
	ErrKeepAlive      = &Error{Remote, GoAwayNormal, "nothing received, and no answer to a ping in time"}

	ErrResetFlood   = &Error{Limit, GoAwayRateLimited, "remote opens and resets streams faster than the reset budget"}
	ErrControlFlood = &Error{Limit, GoAwayRateLimited, "remote sends frames without effect faster than the control budget"}
	ErrNotReading   = &Error{Limit, GoAwayResourceLimit, "remote causes replies and does not read them"}
)

// ErrMaxHeld is why the session has reset a stream. The session goes on.
var ErrMaxHeld = &Error{Limit, ResetResourceLimit, "more bytes are unread than MaxHeld"}

// Refusals of commands. The session goes on.
var (
	ErrUnknownStream    = &Error{Local, 0, "no such stream, or it has ended"}
	ErrWriteClosed      = &Error{Local, 0, "write after CloseWrite"}
	ErrWritePending     = &Error{Local, 0, "write while the previous body is pending"}
	ErrNotDrained       = &Error{Local, 0, "input before the events of the previous one were drained"}
	ErrStreamsExhausted = &Error{Local, 0, "no stream IDs left in this session"}
	ErrOpenBacklog      = &Error{Limit, 0, "too many opened streams that the remote has not acknowledged"}
)

// GoAwayError is the end of a session by a GoAway frame, ours or the peer's. As the answer of
// OpenStream it says that no stream may be opened any more.
type GoAwayError struct {
	Code   uint32
	Remote bool
}

func (e *GoAwayError) Error() string {
	side := "local"
	if e.Remote {
		side = "remote"
	}
	return "yamux: " + side + ": session is going away, code 0x" + strconv.FormatUint(uint64(e.Code), 16)
}

// ClosedError is the end of a session whose conduit ended under it.
type ClosedError struct {
	Cause    error
	MidFrame bool
}

func (e *ClosedError) Error() string {
	text := "yamux: remote: connection ended"
	if e.MidFrame {
		text += " inside a frame"
	}
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

// Unwrap is the conduit's reason. Even an orderly end of the conduit is none of the streams on it:
// io.EOF shows as io.ErrUnexpectedEOF.
func (e *ClosedError) Unwrap() error {
	if errors.Is(e.Cause, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return e.Cause
}

// Orderly says that the remote ended the conduit in order.
func (e *ClosedError) Orderly() bool { return errors.Is(e.Cause, io.EOF) }

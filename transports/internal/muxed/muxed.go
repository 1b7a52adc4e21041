// Package muxed is what the transports have in common that bring their own streams: how these end, and
// how a connection is handed over.
package muxed

import (
	"errors"
	"fmt"
	"sync"

	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"
)

var (
	// ErrClosed: this end was closed.
	ErrClosed = errors.New("stream or connection is closed")
	// ErrStreamLimit: no more streams may be opened now. CanOpen follows.
	ErrStreamLimit = errors.New("as many streams are open as the remote allows")
	// ErrWriteClosed: a write after CloseWrite.
	ErrWriteClosed = errors.New("write after CloseWrite")
	// ErrResets: the remote opens streams and resets them faster than it may.
	ErrResets = errors.New("the remote opens and resets streams faster than the budget")
)

// CodeError is the end of a stream or of a connection by a code.
type CodeError struct {
	Transport string
	Code      uint32
	Remote    bool   // the remote's code
	Op        string // what ended: "stream reset", "reading stopped", "connection closed"
	Reason    string // of a close; may be empty
}

func (e *CodeError) Error() string {
	side := fault.Local
	if e.Remote {
		side = fault.Remote
	}
	text := fmt.Sprintf("%s: %s: %s, code 0x%x", e.Transport, side, e.Op, e.Code)
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	return text
}

// MaxReason bounds what we tell a remote about a close, in bytes, so that it fits into one packet.
const MaxReason = 256

// Shorten makes a reason fit, without cutting a character in two.
func Shorten(reason string) string {
	if len(reason) <= MaxReason {
		return reason
	}
	cut := MaxReason
	for cut > 0 && reason[cut]&0xc0 == 0x80 {
		cut--
	}
	return reason[:cut]
}

// Hand is how a listener hands over what it has accepted: one at a time, from whichever goroutine, and
// nothing after Shut.
type Hand struct {
	Sink conduit.AcceptSink

	turn sync.Mutex // held while Accepted runs

	mu     sync.Mutex
	closed bool
}

// Shut reports whether it was open.
func (h *Hand) Shut() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	open := !h.closed
	h.closed = true
	return open
}

// Over gives c to the sink, or closes it if it is too late for that.
func (h *Hand) Over(c conduit.Muxed) {
	h.turn.Lock()
	defer h.turn.Unlock()
	h.mu.Lock()
	closed := h.closed
	h.mu.Unlock()
	if closed {
		_ = c.Close(0, "")
		return
	}
	h.Sink.Accepted(conduit.Conduit{Muxed: c})
}

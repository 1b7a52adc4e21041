package stream

import (
	"errors"

	"github.com/troupe-p2p/troupe/internal/buf"
)

// What an actor handler receives, in this order: Opened, then any of *Data and *Writable, at
// most one RemoteClosed, then Ended, after which it is stopped. All come as pointers. An actor
// that is stopped with its connection at once sees only its own stop.

// Opened is the first message of a handler: here is its stream.
type Opened struct{ Stream *Stream }

// Data is received bytes. B is the handler's until its Receive returns; then the buffer and the
// read credit go back by themselves. Hold keeps both until Release. At most one Data of a stream
// is out at a time, and the next one uses the same memory.
type Data struct {
	Stream *Stream
	B      []byte
	b      *buf.Buf
	n      int32
	// Both guarded by the stream's lock. The Data comes back when neither is true.
	inTurn bool // the receiver's Receive has not returned from it
	held   bool
}

// Hold keeps the bytes and the read credit past the end of this turn: back-pressure. Release
// must follow; until then no more is received, and a Data that is never released costs the pool
// its buffer.
func (d *Data) Hold() {
	d.Stream.mu.Lock()
	d.held = true
	d.Stream.mu.Unlock()
}

// Release gives back what Hold kept. It may be called from any goroutine, once, also before the
// turn of Hold is over. Without Hold it does nothing.
func (d *Data) Release() {
	d.Stream.mu.Lock()
	if !d.held {
		d.Stream.mu.Unlock()
		return
	}
	d.held = false
	d.back()
}

// Take makes the buffer the handler's own, to be given to Write or released. The read credit
// still goes back at the end of the turn, or with Release after Hold.
func (d *Data) Take() *buf.Buf {
	b := d.b
	d.b = nil
	return b
}

// Finish implements actors.Finisher.
func (d *Data) Finish() {
	d.Stream.mu.Lock()
	d.inTurn = false
	if d.held {
		d.Stream.uncork()
		return
	}
	d.back()
}

// Discard implements actors.Discarder. What is held stays with whoever has to release it.
func (d *Data) Discard(error) { d.Finish() }

// back is called with the stream's lock held and gives it up.
func (d *Data) back() {
	s := d.Stream
	if d.inTurn || d.held {
		s.mu.Unlock()
		return
	}
	if d.n == 0 {
		s.uncork()
		return
	}
	last := s.ending && !s.gone
	if last {
		// Before the session hears of what was consumed: its answer may be Ended.
		h := s.handler
		s.mu.Unlock()
		_ = h.Control(s.says.remoteClosed()) // its Finish tells the session
		s.mu.Lock()
	}
	s.want.Consumed += int(d.n)
	if d.b != nil {
		d.b.Release()
	}
	d.b, d.B, d.n = nil, nil, 0
	s.noted = true
	switch {
	case !last:
		s.uncork()
	case s.corked: // the cork stays where it is: only the session puts it in
		s.mu.Unlock()
	default:
		s.say()
	}
}

// Writable follows Blocked: the handler may write again.
type Writable struct{ Stream *Stream }

// RemoteClosed says that the remote sends nothing more.
type RemoteClosed struct{ Stream *Stream }

// Finish implements actors.Finisher: the session hears that the handler has no answer, if it has
// not got one.
func (r *RemoteClosed) Finish() {
	r.Stream.mu.Lock()
	r.Stream.ending, r.Stream.noted = false, true
	r.Stream.uncork()
}

// Discard implements actors.Discarder.
func (r *RemoteClosed) Discard(error) { r.Finish() }

// Ended is the last message: Err is nil after an orderly end of both directions.
type Ended struct {
	Stream *Stream
	Err    error
}

// Codes that Troupe sends with a reset beside those of the draft registry that go-libp2p uses
// (0x1001 to 0x1fff). go-libp2p shows them; js-libp2p shows a plain reset.
const (
	// CodeHandlerPanic: the handler of the stream panicked. "TR" and a number.
	CodeHandlerPanic uint32 = 0x5452_0001
	// CodeLocalFault: the handler broke the rules of its own stream.
	CodeLocalFault uint32 = 0x5452_0002
	// CodeHandlerStuck: the handler was given up because it did not return.
	CodeHandlerStuck uint32 = 0x5452_0003
)

var (
	// ErrWriteWhileBlocked: an actor handler wrote before Writable; a local fault.
	ErrWriteWhileBlocked = errors.New("local: write while Blocked")
	// ErrClosed: the stream was used after it had been closed here; a local fault.
	ErrClosed = errors.New("local: the stream is closed")
	// ErrConnClosed: the connection below has ended.
	ErrConnClosed = errors.New("the connection has ended")
)

package stream

import (
	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/buf"
)

// What is in this file is for the session that carries the stream.

// Order is what a handler has asked for since the last Take.
type Order struct {
	Out        []*buf.Buf // to be sent, in order; owned by the session now
	Write      []byte     // a blocking Write's body, lent until WriteDone
	HasWrite   bool
	Withdraw   bool // give the lent body back
	Corked     bool // the handler has not come back from what it was given last
	Up         bool // the handler takes messages from now on
	CloseWrite bool
	CloseRead  bool
	Flush      bool // send what lazy negotiation holds back
	Reset      bool
	Code       uint32
	Consumed   int // bytes of read credit
	Why        error
}

// Take hands the notes to the session. The memory of o.Out serves for the notes to come.
func (s *Stream) Take(o *Order) {
	s.mu.Lock()
	spare := o.Out[:0]
	*o = s.want
	o.Corked = s.corked
	s.want = Order{Out: spare}
	s.told, s.noted = false, false
	s.lent = s.lent || o.HasWrite
	s.mu.Unlock()
}

// Sealed tells that a buffer of n bytes given to Write has left; it releases a blocked handler.
func (s *Stream) Sealed(n int) {
	s.mu.Lock()
	s.queued -= n + writeCost
	free := s.blocked && s.queued <= OutCap/2
	if free {
		s.blocked = false
	}
	h := s.handler
	s.mu.Unlock()
	if free {
		_ = h.Control(s.says.writable())
	}
}

// Late says that the handler takes long over what it was given. What it has asked for is there to
// be taken, and what it asks for from now on in this turn is told.
func (s *Stream) Late() {
	s.mu.Lock()
	s.corked = false
	s.mu.Unlock()
}

// Serve makes h the receiver of the stream's messages and tells it that the stream is open. The
// session hears of it with the next Take.
func (s *Stream) Serve(h actors.Ref[any]) {
	s.mu.Lock()
	s.handler = h
	// Under the lock: neither Ended nor the answer to a first Write may come before it.
	_ = h.Control(&s.says.opened)
	if s.gone {
		_ = h.Control(&s.says.ended)
	}
	s.want.Up = true
	s.tell()
}

// Handler is the actor that serves the stream; zero for a blocking one.
func (s *Stream) Handler() actors.Ref[any] {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.handler
}

// Deliver hands received bytes to the actor handler. b is the stream's from now on. It must not
// be called again before all n bytes have come back as Consumed.
func (s *Stream) Deliver(b *buf.Buf) {
	s.mu.Lock()
	d := &s.data
	d.b, d.B, d.n, d.inTurn, d.held = b, b.B, int32(len(b.B)), true, false
	s.corked = true
	h := s.handler
	s.mu.Unlock()
	if d.n > handedMax {
		_ = h.Control(d) // refused, Discard gives it back
		return
	}
	_ = actors.Hand[any](h, d, s.ref)
}

// handedMax is up to how many bytes a bounded handler is given on the connection's own goroutine:
// with more of them, another one reads on meanwhile.
const handedMax = 4 << 10

// RemoteClosed tells the handler that no more will be received, behind the Data that is out.
func (s *Stream) RemoteClosed() {
	if s.io != nil {
		s.io.remoteClosed()
		return
	}
	s.mu.Lock()
	s.ending = true
	if s.data.n > 0 {
		s.mu.Unlock() // it comes when the handler is done with the last of the data
		return
	}
	s.corked = true
	h := s.handler
	s.mu.Unlock()
	_ = actors.Hand[any](h, s.says.remoteClosed(), s.ref) // refused, Discard takes note
}

// Drop takes away what was received and not read: Read fails with why from now on. End follows, or
// has been before.
func (s *Stream) Drop(why error) {
	if s.io != nil {
		s.io.pipe.Break(why)
	}
}

// Owe makes the session hear of what is read of the stream also after End.
func (s *Stream) Owe() {
	s.mu.Lock()
	s.owes = true
	s.mu.Unlock()
}

// End tells everybody that the stream is over: err is nil after an orderly end. The session has
// let go of a lent body before it calls this. Only the first end counts.
func (s *Stream) End(err error) { s.end(err, true) }

// Discard implements actors.Discarder: the session is gone, or it will be soon. If it has a
// body in its hands its own End is waited for.
func (s *Stream) Discard(error) { s.end(ErrConnClosed, false) }

func (s *Stream) end(err error, free bool) {
	s.mu.Lock()
	if free {
		s.lent = false
	}
	first := !s.gone
	if first {
		err = s.explain("stream", err)
		s.gone, s.err = true, err
		s.says.ended.Err = err
		if !s.handler.IsZero() {
			_ = s.handler.Control(&s.says.ended)
		}
	}
	err = s.err
	out := s.want.Out
	s.want.Out = nil
	lent := s.lent
	s.mu.Unlock()
	for _, b := range out {
		b.Release()
	}
	if s.io != nil {
		s.io.end(err, first, !lent)
	}
}

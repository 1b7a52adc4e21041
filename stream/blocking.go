package stream

import (
	"context"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/buf"
)

// Blocking is a stream for goroutines: a net.Conn whose two directions close apart, with a
// context and with codes. Read and Write may be called at the same time.
type Blocking struct{ *Stream }

// blocking is what a stream has that is read and written by goroutines.
type blocking struct {
	face    Blocking
	rt      *actors.Runtime
	pipe    *actors.Pipe
	cross   *actors.Crossing
	closing sync.Mutex // one Close waits at a time

	// Guarded by the stream's lock.
	writes uint8 // small ones since a Read waited last; 2 stands for more
	dialog bool  // so it went last time: one small Write, then a Read that waited
	lazy   bool  // proposed, and nothing has been sent for it so far
	asking bool  // the remote has not answered what was proposed
	answer error
	agree  *actors.Crossing // a Close that waits for the answer
	eof    bool
	ctx    context.Context // made when somebody asks for it
	stop   context.CancelCauseFunc
}

// creditBatch is how much a reader reads before it says so: often enough for any window.
const creditBatch = 32 << 10

// Block makes the stream one that is read and written by goroutines. The session calls it
// before anybody else has the handle. A lazy stream was opened without waiting for the remote's
// answer: what is to be sent first waits for a Write, a Read or a CloseWrite.
func (s *Stream) Block(rt *actors.Runtime, lazy bool) *Blocking {
	s.io = &blocking{face: Blocking{s}, rt: rt, cross: rt.NewCrossing(), lazy: lazy, asking: lazy}
	s.io.pipe = rt.NewPipe(newChunk, creditBatch, s.credit)
	s.io.pipe.OnWait = s.help
	return &s.io.face
}

func newChunk(n int) actors.Chunk {
	b := buf.Get(min(max(n, 512), 64<<10))
	b.B = b.B[:0]
	return b
}

// Blocking is the stream for goroutines; nil for the stream of an actor handler.
func (s *Stream) Blocking() *Blocking {
	if s.io == nil {
		return nil
	}
	return &s.io.face
}

// ---- the session's side ----

// IsBlocking says which kind of stream it is.
func (s *Stream) IsBlocking() bool { return s.io != nil }

// Fill puts received bytes where Read finds them. It reports false when nobody will read them.
func (s *Stream) Fill(p []byte) bool { return s.io.pipe.Put(p) }

// WriteDone gives a lent body back: n bytes of it were sent.
func (s *Stream) WriteDone(n int, err error) {
	s.mu.Lock()
	s.lent = false
	s.mu.Unlock()
	s.io.cross.Done(n, err)
}

// Agreed is the remote's answer to a lazy open.
func (s *Stream) Agreed(err error) {
	if s.io == nil {
		return
	}
	s.mu.Lock()
	x := s.io.answered(err)
	s.mu.Unlock()
	if x != nil {
		x.Done(0, err)
	}
}

// answered is called with the stream's lock held.
func (b *blocking) answered(err error) *actors.Crossing {
	if !b.asking {
		return nil
	}
	b.asking, b.answer = false, err
	return b.agree
}

func (b *blocking) remoteClosed() {
	s := b.face.Stream
	s.mu.Lock()
	b.eof = true
	s.mu.Unlock()
	b.pipe.End(io.EOF)
}

// end tells whoever waits. With free, the session has no body of a Write any more.
func (b *blocking) end(err error, first, free bool) {
	s := b.face.Stream
	s.mu.Lock()
	eof, stop := b.eof, b.stop
	x := b.answered(err)
	s.mu.Unlock()
	if first {
		if err == nil || eof {
			// What the remote ended in order may still be read.
			b.pipe.End(io.EOF)
		} else {
			b.pipe.Break(err)
		}
		if stop != nil {
			stop(err)
		}
	}
	if x != nil {
		x.Done(0, err)
	}
	if err == nil {
		err = ErrClosed
	}
	if free {
		b.cross.Done(0, err)
	}
}

// ---- the handler's side ----

// Read implements io.Reader: io.EOF after the remote's orderly end, an error that names the
// code after a reset, os.ErrDeadlineExceeded after the read deadline.
func (s *Blocking) Read(p []byte) (int, error) {
	s.mu.Lock()
	if s.io.lazy {
		s.io.lazy, s.want.Flush = false, true
		s.tell()
	} else {
		s.mu.Unlock()
	}
	n, err := s.io.pipe.Read(p)
	return n, s.explain("read", err)
}

// Write implements io.Writer. Up to 4 KiB are copied and leave soon, as long as no more than 8 KiB
// wait. Else it returns when the bytes are sealed or in the socket's buffer, and after a deadline n
// says how many are on the wire.
func (s *Blocking) Write(p []byte) (int, error) {
	n, err := s.write(p)
	return n, s.explain("write", err)
}

func (s *Blocking) write(p []byte) (int, error) {
	x := s.io.cross
	x.Begin()
	defer x.End()
	if x.Late() {
		return 0, os.ErrDeadlineExceeded
	}
	s.mu.Lock()
	if s.gone || s.shut {
		err := s.err
		s.mu.Unlock()
		if err == nil {
			err = ErrClosed
		}
		return 0, err
	}
	if len(p) == 0 {
		s.mu.Unlock()
		return 0, nil
	}
	s.io.lazy = false
	s.sent += len(p)
	if n := len(p) + writeCost; len(p) <= smallNote && s.queued+n <= CopyCap {
		s.want.Out = append(s.want.Out, buf.Copy(p))
		s.queued += n
		s.io.writes = min(s.io.writes+1, 2)
		s.io.dialog = s.io.dialog && s.io.writes == 1
		if s.io.dialog {
			s.say() // nothing else is going to join it
		} else {
			s.tell()
		}
		return len(p), nil
	}
	s.want.Write, s.want.HasWrite = p, true
	s.want.Withdraw = false // of an earlier Write, which has returned
	s.tell()
	n, err, late := x.Wait()
	if late {
		n = s.withdraw(err)
	}
	if n == len(p) {
		return n, nil
	}
	if err == nil {
		err = io.ErrShortWrite
	}
	return n, err
}

// withdraw takes the body of a late Write back and returns how much of it is on the wire.
func (s *Blocking) withdraw(late error) int {
	x := s.io.cross
	s.mu.Lock()
	if s.want.HasWrite { // the session has not even seen it
		s.want.Write, s.want.HasWrite = nil, false
		s.mu.Unlock()
		x.Done(0, late)
	} else {
		s.want.Withdraw = true
		s.tell()
	}
	n, _ := x.WaitDone()
	return n
}

// CloseWrite ends our direction in order. It returns at once; what was written is sent first.
func (s *Blocking) CloseWrite() error {
	s.Stream.CloseWrite()
	return nil
}

// CloseRead says that nobody reads any more: Read fails, and what arrives is dropped.
func (s *Blocking) CloseRead() error {
	s.credit(s.io.pipe.Break(ErrClosed))
	s.Stream.CloseRead()
	return nil
}

// Close is CloseWrite and CloseRead. On a stream that was opened lazily it first waits for the
// remote's answer, so that it never reports success for data that nobody took. A stream that has
// ended in disorder reports why.
func (s *Blocking) Close() error {
	s.Stream.CloseWrite()
	err := s.awaitAnswer()
	_ = s.CloseRead()
	if err != nil {
		return s.explain("close", err)
	}
	return s.Err()
}

// awaitAnswer waits until the remote has answered a lazy open, or the stream is over.
func (s *Blocking) awaitAnswer() error {
	b := s.io
	b.closing.Lock()
	defer b.closing.Unlock()
	s.mu.Lock()
	if b.asking {
		b.agree = b.rt.NewCrossing()
		b.agree.Begin()
		s.mu.Unlock()
		_, _ = b.agree.WaitDone()
		b.agree.End()
		s.mu.Lock()
	}
	defer s.mu.Unlock()
	return b.answer
}

// Reset ends both directions at once with a code that the remote may show.
func (s *Blocking) Reset(code uint32) error {
	s.Stream.Reset(code)
	s.credit(s.io.pipe.Break(ErrClosed))
	return nil
}

// Context is done when the stream has ended.
func (s *Blocking) Context() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.io
	if b.ctx == nil {
		b.ctx, b.stop = context.WithCancelCause(context.Background())
		if s.gone {
			b.stop(s.err)
		}
	}
	return b.ctx
}

// SetDeadline sets both deadlines; the zero time means none.
func (s *Blocking) SetDeadline(t time.Time) error {
	s.io.pipe.SetDeadline(t)
	s.io.cross.SetDeadline(t)
	return nil
}

// SetReadDeadline makes a blocked Read fail at t.
func (s *Blocking) SetReadDeadline(t time.Time) error {
	s.io.pipe.SetDeadline(t)
	return nil
}

// SetWriteDeadline makes a blocked Write fail at t.
func (s *Blocking) SetWriteDeadline(t time.Time) error {
	s.io.cross.SetDeadline(t)
	return nil
}

// NetConn is the stream as a net.Conn, for libraries that want one.
func (s *Blocking) NetConn() net.Conn { return netConn{s} }

type netConn struct{ *Blocking }

func (c netConn) LocalAddr() net.Addr  { return netAddr(c.Conn().Endpoints.Direction.String()) }
func (c netConn) RemoteAddr() net.Addr { return netAddr(c.Peer().String()) }

// netAddr names a peer where a net.Addr is wanted.
type netAddr string

func (netAddr) Network() string  { return "libp2p" }
func (a netAddr) String() string { return string(a) }

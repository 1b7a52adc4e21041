package stream

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/buf"
)

// blocking is what a stream has that is read and written by goroutines.
type blocking struct {
	s     *Stream
	pipe  *actors.Pipe
	cross *actors.Crossing
	ctx   context.Context
	stop  context.CancelCauseFunc
	agree *actors.Crossing // waits for lazy negotiation
}

// creditBatch is how much a reader reads before it says so: often enough for any window.
const creditBatch = 32 << 10

// Block makes the stream one that is read and written by goroutines. The session calls it
// before anybody else has the handle.
func (s *Stream) Block(rt *actors.Runtime) *Blocking {
	ctx, stop := context.WithCancelCause(context.Background())
	s.io = &blocking{s: s, cross: rt.NewCrossing(), ctx: ctx, stop: stop}
	s.io.pipe = rt.NewPipe(newChunk, creditBatch, s.credit)
	return &Blocking{s}
}

func newChunk(n int) actors.Chunk {
	b := buf.Get(min(max(n, 512), 64<<10))
	b.B = b.B[:0]
	return b
}

// IsBlocking says which kind of stream it is.
func (s *Stream) IsBlocking() bool { return s.io != nil }

// Fill puts received bytes where Read finds them. It reports false when nobody will read them.
func (s *Stream) Fill(p []byte) bool { return s.io.pipe.Put(p) }

// WriteDone gives a lent body back: n bytes of it were sent.
func (s *Stream) WriteDone(n int, err error) { s.io.cross.Done(n, err) }

func (b *blocking) remoteClosed() { b.pipe.End(io.EOF) }

func (b *blocking) end(err error) {
	if err == nil {
		// Both directions ended in order: what was received may still be read.
		b.pipe.End(io.EOF)
		b.cross.Done(0, ErrClosed)
	} else {
		b.pipe.Break(err)
		b.cross.Done(0, err)
	}
	if b.agree != nil {
		b.agree.Done(0, err)
	}
	b.stop(err)
}

// Lazy marks the stream as opened without waiting for the remote's answer. What is to be sent
// first waits for a Write, a Read or a CloseWrite.
func (s *Stream) Lazy(rt *actors.Runtime) {
	s.mu.Lock()
	s.lazy = true
	s.mu.Unlock()
	if s.io != nil {
		s.io.agree = rt.NewCrossing()
		s.io.agree.Begin()
	}
}

// Agreed is the remote's answer to a lazy open.
func (s *Stream) Agreed(err error) {
	if s.io != nil && s.io.agree != nil {
		s.io.agree.Done(0, err)
	}
}

// Blocking is a stream for goroutines: a net.Conn whose two directions close apart, with a
// context and with codes. Read and Write may be called at the same time.
type Blocking struct{ *Stream }

// Read implements io.Reader: io.EOF after the remote's orderly end, an error that names the
// code after a reset, os.ErrDeadlineExceeded after the read deadline.
func (s *Blocking) Read(p []byte) (int, error) {
	s.mu.Lock()
	if s.lazy {
		s.lazy, s.flush = false, true
		s.tell()
	} else {
		s.mu.Unlock()
	}
	return s.io.pipe.Read(p)
}

// Write implements io.Writer. It returns when the bytes are sealed or in the socket's buffer.
// After a deadline n says how many are on the wire.
func (s *Blocking) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	x := s.io.cross
	x.Begin()
	defer x.End()
	s.mu.Lock()
	if s.gone || s.closeWrite || s.reset {
		err := s.err
		if err == nil {
			err = ErrClosed
		}
		s.mu.Unlock()
		return 0, err
	}
	s.write, s.hasWrite = p, true
	s.tell()
	n, err, late := x.Wait()
	if late {
		s.mu.Lock()
		if s.hasWrite { // the session has not even seen it
			s.write, s.hasWrite = nil, false
			s.mu.Unlock()
			x.Done(0, err)
		} else {
			s.withdraw = true
			s.tell()
		}
		n, _ = x.WaitDone()
	}
	if n == len(p) {
		return n, nil
	}
	if err == nil {
		err = io.ErrShortWrite
	}
	return n, err
}

// CloseWrite ends our direction in order. It returns at once; what was written is sent first.
func (s *Blocking) CloseWrite() error {
	s.Stream.CloseWrite()
	return nil
}

// CloseRead says that nobody reads any more: Read fails, and what arrives is dropped.
func (s *Blocking) CloseRead() error {
	n := s.io.pipe.Break(ErrClosed)
	s.credit(n)
	s.Stream.CloseRead()
	return nil
}

// Close is CloseWrite and CloseRead. On a stream that was opened lazily it first waits for the
// remote's answer, so that it never reports success for data that nobody took. A stream that has
// ended in disorder reports why.
func (s *Blocking) Close() error {
	s.Stream.CloseWrite()
	if s.io.agree != nil {
		if _, err := s.io.agree.WaitDone(); err != nil {
			return err
		}
	}
	err := s.CloseRead()
	if e := s.Err(); e != nil && !errors.Is(e, ErrClosed) {
		return e
	}
	return err
}

// Reset ends both directions at once with a code that the remote may show.
func (s *Blocking) Reset(code uint32) error {
	s.Stream.Reset(code)
	s.io.pipe.Break(ErrClosed)
	return nil
}

// Context is done when the stream has ended.
func (s *Blocking) Context() context.Context { return s.io.ctx }

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

// Blocking is the stream for goroutines; nil for the stream of an actor handler.
func (s *Stream) Blocking() *Blocking {
	if s.io == nil {
		return nil
	}
	return &Blocking{s}
}

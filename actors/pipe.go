package actors

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

// Chunk is a piece of memory that whoever holds it gives back.
type Chunk interface {
	Bytes() []byte
	// Append adds as much of p as there is room for and returns how much that was.
	Append(p []byte) int
	Release()
}

// Pipe is the memory shared between an actor, which puts chunks in without ever waiting, and a
// goroutine that reads them. It does not bound itself: the actor puts in no more than the flow
// control window that the reader's progress (OnRead) opens.
type Pipe struct {
	rt       *Runtime
	newChunk func(n int) Chunk
	// OnRead is called on the reader's goroutine with the number of bytes that were read
	// since the last call: when they pass Batch, or when the pipe has run empty.
	OnRead func(n int)
	Batch  int
	// OnWait, if set, is called on the reader's goroutine before it waits for bytes.
	OnWait func()

	reader   sync.Mutex // one Read at a time
	mu       sync.Mutex
	chunks   []Chunk
	head     int // the first of chunks that has not gone
	off      int // into it
	n        int
	unsaid   int // read, not yet told
	end      error
	broken   error
	deadline time.Time
	wait     waiter
}

// NewPipe makes an empty pipe. newChunk makes an empty chunk with room for n bytes, or for
// fewer if n is large.
func (rt *Runtime) NewPipe(newChunk func(n int) Chunk, batch int, onRead func(n int)) *Pipe {
	return &Pipe{rt: rt, newChunk: newChunk, Batch: batch, OnRead: onRead, wait: rt.host.newWaiter()}
}

// Put copies b into the pipe. It reports false when the pipe has ended or is broken. Small
// pieces share chunks, so that what the pipe holds is never much more than what was put in.
func (p *Pipe) Put(b []byte) bool {
	p.mu.Lock()
	if p.broken != nil || p.end != nil {
		p.mu.Unlock()
		return false
	}
	first := p.n == 0 && len(b) > 0
	p.n += len(b)
	if n := len(p.chunks); n > 0 {
		b = b[p.chunks[n-1].Append(b):]
	}
	for len(b) > 0 {
		c := p.newChunk(len(b))
		b = b[c.Append(b):]
		p.chunks = append(p.chunks, c)
	}
	p.mu.Unlock()
	if first {
		p.wait.wake()
	}
	return true
}

// End makes Read return err (io.EOF) once everything has been read.
func (p *Pipe) End(err error) {
	p.mu.Lock()
	if p.end == nil {
		p.end = err
	}
	p.mu.Unlock()
	p.wait.wake()
}

// Break makes Read return err at once and drops what was not read. It returns the number of
// bytes that were dropped or not told to OnRead.
func (p *Pipe) Break(err error) (dropped int) {
	p.mu.Lock()
	if p.broken == nil {
		p.broken = err
	}
	chunks := p.chunks[p.head:]
	dropped = p.n + p.unsaid
	p.chunks, p.head, p.n, p.off, p.unsaid = nil, 0, 0, 0, 0
	p.mu.Unlock()
	for _, c := range chunks {
		c.Release()
	}
	p.wait.wake()
	return dropped
}

// Len is the number of bytes that wait.
func (p *Pipe) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n
}

// SetDeadline makes Read fail with os.ErrDeadlineExceeded at t; the zero time means never.
func (p *Pipe) SetDeadline(t time.Time) {
	p.mu.Lock()
	p.deadline = t
	p.mu.Unlock()
	p.wait.wake()
}

// Read implements io.Reader.
func (p *Pipe) Read(dst []byte) (int, error) {
	p.reader.Lock()
	defer p.reader.Unlock()
	helped := false
	for {
		p.mu.Lock()
		if p.broken != nil {
			err := p.broken
			p.mu.Unlock()
			return 0, err
		}
		if !p.deadline.IsZero() && !p.rt.host.now().Before(p.deadline) {
			p.mu.Unlock()
			return 0, os.ErrDeadlineExceeded
		}
		if p.n > 0 || len(dst) == 0 {
			n, tell := p.copyOut(dst)
			p.mu.Unlock()
			if tell > 0 && p.OnRead != nil {
				p.OnRead(tell)
			}
			return n, nil
		}
		if p.end != nil {
			err := p.end
			p.mu.Unlock()
			return 0, err
		}
		d := time.Duration(-1)
		if !p.deadline.IsZero() {
			d = max(p.deadline.Sub(p.rt.host.now()), 0)
		}
		p.mu.Unlock()
		if p.OnWait != nil && !helped {
			helped = true
			p.OnWait()
			continue
		}
		p.wait.wait(d)
	}
}

// copyOut is called with mu held.
func (p *Pipe) copyOut(dst []byte) (n, tell int) {
	for n < len(dst) && len(p.chunks) > 0 {
		b := p.chunks[p.head].Bytes()
		k := copy(dst[n:], b[p.off:])
		n += k
		p.off += k
		if p.off == len(b) {
			p.chunks[p.head].Release()
			p.drop()
			p.off = 0
		}
	}
	p.n -= n
	p.unsaid += n
	if p.unsaid >= p.Batch || p.n == 0 {
		tell, p.unsaid = p.unsaid, 0
	}
	return n, tell
}

// keptChunks is how long a list an empty pipe keeps for its next chunks. A reader that keeps up
// empties its pipe again and again.
const keptChunks = 16

// drop takes the first chunk off the list, whose memory is used again rather than made anew for every
// few chunks. The others move up once they are no more than those that have gone, so that each
// moves once on the average.
func (p *Pipe) drop() {
	p.chunks[p.head] = nil
	p.head++
	left := len(p.chunks) - p.head
	if left > p.head {
		return
	}
	copy(p.chunks, p.chunks[p.head:])
	clear(p.chunks[left:])
	p.chunks, p.head = p.chunks[:left], 0
	if left == 0 && cap(p.chunks) > keptChunks {
		p.chunks = nil
	}
}

// Crossing is where one goroutine waits for an actor's answer again and again without
// allocating: a blocking Write. Begin, send the request, Wait (or withdraw the request and
// WaitDone), End.
type Crossing struct {
	rt       *Runtime
	caller   sync.Mutex // held from Begin to End
	mu       sync.Mutex
	open     bool
	done     bool
	n        int
	err      error
	deadline time.Time
	wait     waiter
}

// NewCrossing makes a crossing.
func (rt *Runtime) NewCrossing() *Crossing {
	return &Crossing{rt: rt, wait: rt.host.newWaiter()}
}

// Begin opens a call, after any other caller's has ended; the request is sent after it.
func (x *Crossing) Begin() {
	x.caller.Lock()
	x.mu.Lock()
	x.open, x.done, x.n, x.err = true, false, 0, nil
	x.mu.Unlock()
}

// Done answers the open call; without one it does nothing.
func (x *Crossing) Done(n int, err error) {
	x.mu.Lock()
	if !x.open || x.done {
		x.mu.Unlock()
		return
	}
	x.done, x.n, x.err = true, n, err
	x.mu.Unlock()
	x.wait.wake()
}

// End lets the next caller in.
func (x *Crossing) End() { x.caller.Unlock() }

// SetDeadline makes Wait return late == true at t; the zero time means never.
func (x *Crossing) SetDeadline(t time.Time) {
	x.mu.Lock()
	x.deadline = t
	x.mu.Unlock()
	x.wait.wake()
}

// Late says whether the deadline has passed.
func (x *Crossing) Late() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return !x.deadline.IsZero() && !x.rt.host.now().Before(x.deadline)
}

// Wait waits for Done. late says that the deadline came first: the call is still open then,
// and WaitDone ends it after the request was withdrawn.
func (x *Crossing) Wait() (n int, err error, late bool) {
	return x.waitFor(true)
}

// WaitDone waits for Done without regard to the deadline.
func (x *Crossing) WaitDone() (n int, err error) {
	n, err, _ = x.waitFor(false)
	return n, err
}

func (x *Crossing) waitFor(deadline bool) (int, error, bool) {
	for {
		x.mu.Lock()
		if x.done {
			x.open = false
			n, err := x.n, x.err
			x.mu.Unlock()
			return n, err, false
		}
		d := time.Duration(-1)
		if deadline && !x.deadline.IsZero() {
			if d = x.deadline.Sub(x.rt.host.now()); d <= 0 {
				x.mu.Unlock()
				return 0, os.ErrDeadlineExceeded, true
			}
		}
		x.mu.Unlock()
		x.wait.wait(d)
	}
}

var _ io.Reader = (*Pipe)(nil)

// OnEnd calls f, once, when the actor behind r fails, ends or is abandoned: whatever its
// incarnation knew is lost. f runs on any goroutine and must not block. cancel makes it not be
// called.
func OnEnd[M any](r Ref[M], f func(error)) (cancel func()) {
	rep := NewReply(r, func(_ struct{}, err error) {
		if err != nil {
			f(err)
		}
	})
	return func() { rep.Answer(struct{}{}) }
}

// OnAbandoned calls f, once, if the actor behind r is abandoned: stuck, or kept from running for so long,
// and no Stopping reaches it even if it comes back. f gives back what nobody else would. It runs on any
// goroutine, also beside the turn that is stuck, and must not block; if the actor is abandoned already,
// right here. cancel makes it not be called: what the actor held is somebody else's.
func OnAbandoned[M any](r Ref[M], f func()) (cancel func()) {
	return OnEnd(r, func(err error) {
		if errors.Is(err, ErrAbandoned) {
			f()
		}
	})
}

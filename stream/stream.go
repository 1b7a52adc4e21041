// Package stream is the handle of one stream: what a protocol's handler holds, of either kind.
//
//	handler ──Write, CloseWrite, Reset, Consumed──> Stream ──one *Stream message──> session
//	session ──Take: all that was asked for──> muxer
//	session ──Opened, *Data, *Writable, RemoteClosed, *Ended──> handler actor
//	session ──bytes──> pipe ──Read──> blocking handler
//
// A Stream is memory shared between a session and one handler, so it has a lock. Whatever a
// handler asks for is noted in the Stream, and the Stream itself is the message: however much a
// handler does, at most one message of each stream waits in its session's mailbox.
package stream

import (
	"context"
	"sync"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// Handler is what a protocol's streams are given to: exactly one field is set.
type Handler struct {
	// Actor says how to spawn the handler actor of one stream, which receives the messages
	// of this package.
	Actor func(*Stream) actors.Spec
	// Run handles one stream in a supervised task. When it returns, the stream is closed;
	// when it panics, the stream is reset. ctx is done when the stream has ended.
	Run func(ctx context.Context, s *Blocking)
}

// Command is what a stream tells the session that carries it.
type Command interface{ command() }

// Conn is what is known of the connection below a stream. It does not change.
type Conn struct {
	conduit.Endpoints
	ID       uint64 // unique in the node
	Peer     identity.ID
	Key      identity.PublicKey
	Security string // "/noise"
	Muxer    string // "/yamux/1.0.0"
	Early    bool   // the muxer was agreed inside the security handshake
	Since    time.Time
}

// Info is what is known of a stream. It does not change.
type Info struct {
	ID        uint64 // the muxer's number
	Protocol  string
	Direction conduit.Direction
	Conn      *Conn
}

// OutCap is how many bytes an actor handler may have given to Write that have not been sealed
// yet. Each Write counts writeCost more, so that empty ones are bounded too.
const (
	OutCap    = 256 << 10
	writeCost = 256
)

// Result is the answer to an actor handler's Write.
type Result uint8

const (
	// Accepted: taken; more may follow at once.
	Accepted Result = iota + 1
	// Blocked: taken; write again after Writable. Writing while Blocked resets the stream.
	Blocked
	// Refused: not taken; the stream can no longer be written to.
	Refused
)

// Stream is the handle. Its methods may be called from any goroutine. A blocking handler uses
// the methods of Blocking on top.
type Stream struct {
	info Info
	ref  actors.Ref[Command]

	mu         sync.Mutex
	told       bool // the session has this Stream in its mailbox
	gone       bool // the session knows the stream no more
	err        error
	out        []*buf.Buf
	queued     int // cost of what the session has not sealed yet
	blocked    bool
	write      []byte // a blocking Write's body, lent
	hasWrite   bool
	withdraw   bool
	consumed   int
	closeWrite bool
	closeRead  bool
	lazy       bool // opened lazily, nothing sent so far
	flush      bool
	reset      bool
	code       uint32
	why        error

	handler actors.Ref[any] // actor mode; set by the session before any message
	data    Data            // the one Data that may be out
	io      *blocking       // blocking mode
}

func (s *Stream) command() {}

// New makes the handle for a session.
func New(ref actors.Ref[Command], info Info) *Stream {
	s := &Stream{ref: ref, info: info}
	s.data.Stream = s
	return s
}

// Info is what is known of the stream.
func (s *Stream) Info() Info { return s.info }

// ID is the muxer's number of the stream.
func (s *Stream) ID() uint64 { return s.info.ID }

// Protocol is the agreed protocol; for a stream that was opened lazily the proposed one.
func (s *Stream) Protocol() string { return s.info.Protocol }

// Peer is the authenticated remote.
func (s *Stream) Peer() identity.ID { return s.info.Conn.Peer }

// Conn is the connection below.
func (s *Stream) Conn() *Conn { return s.info.Conn }

// tell is called with mu held and gives it up. A session that is busy finds the note later.
func (s *Stream) tell() {
	if s.told || s.gone {
		s.mu.Unlock()
		return
	}
	s.told = true
	s.mu.Unlock()
	_ = s.ref.Offer(s)
}

// Discard implements actors.Discarder: the session is gone.
func (s *Stream) Discard(why error) { s.End(why) }

// Write gives b away to be sent: an actor handler's write. It never waits.
func (s *Stream) Write(b *buf.Buf) Result {
	s.mu.Lock()
	if s.gone || s.closeWrite || s.reset {
		s.mu.Unlock()
		b.Release()
		return Refused
	}
	if s.blocked {
		s.reset, s.code, s.why = true, CodeLocalFault, ErrWriteWhileBlocked
		s.tell()
		b.Release()
		return Refused
	}
	s.out = append(s.out, b)
	s.queued += len(b.B) + writeCost
	r := Accepted
	if s.queued > OutCap {
		s.blocked = true
		r = Blocked
	}
	s.tell()
	return r
}

// WriteCopy is Write of a copy of p.
func (s *Stream) WriteCopy(p []byte) Result { return s.Write(buf.Copy(p)) }

// CloseWrite ends our direction in order once everything written before has been sent.
func (s *Stream) CloseWrite() {
	s.mu.Lock()
	s.closeWrite = true
	s.tell()
}

// CloseRead says that the handler reads no more: what arrives is dropped.
func (s *Stream) CloseRead() {
	s.mu.Lock()
	s.closeRead = true
	s.tell()
}

// Close is CloseWrite and CloseRead: the handler is done with the stream. It does not wait.
func (s *Stream) Close() {
	s.mu.Lock()
	s.closeWrite, s.closeRead = true, true
	s.tell()
}

// Reset ends both directions at once and tells the remote the code.
func (s *Stream) Reset(code uint32) { s.Fail(code, nil) }

// Fail is Reset with a local reason, which Err shows.
func (s *Stream) Fail(code uint32, why error) {
	s.mu.Lock()
	if !s.reset {
		s.reset, s.code, s.why = true, code, why
	}
	s.tell()
}

// credit gives n bytes of read credit back.
func (s *Stream) credit(n int) {
	if n == 0 {
		return
	}
	s.mu.Lock()
	s.consumed += n
	s.tell()
}

// Err is why the stream has ended; nil while it lives and after an orderly end.
func (s *Stream) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// ---- the session's side ----

// Order is what a handler has asked for since the last Take.
type Order struct {
	Out        []*buf.Buf // to be sent, in order; owned by the session now
	Write      []byte     // a blocking Write's body, lent until WriteDone
	HasWrite   bool
	Withdraw   bool // give the lent body back
	Consumed   int  // bytes of read credit
	CloseWrite bool
	CloseRead  bool
	Flush      bool // send what lazy negotiation holds back
	Reset      bool
	Code       uint32
	Why        error
}

// Take hands the notes to the session.
func (s *Stream) Take() Order {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = false
	o := Order{
		Out: s.out, Write: s.write, HasWrite: s.hasWrite, Withdraw: s.withdraw, Consumed: s.consumed,
		CloseWrite: s.closeWrite, CloseRead: s.closeRead, Flush: s.flush, Reset: s.reset, Code: s.code, Why: s.why,
	}
	s.out, s.write, s.hasWrite, s.withdraw, s.consumed, s.flush = nil, nil, false, false, 0, false
	return o
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
		_ = h.Control(&Writable{s})
	}
}

// Serve makes h the receiver of the stream's messages and tells it that the stream is open.
func (s *Stream) Serve(h actors.Ref[any]) {
	s.mu.Lock()
	s.handler = h
	gone := s.gone
	s.mu.Unlock()
	if !gone {
		_ = h.Control(&Opened{s})
	}
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
	d := &s.data
	d.b, d.B, d.held, d.n = b, b.B, false, len(b.B)
	if err := s.handler.Control(d); err != nil {
		return // Discard has released it
	}
}

// RemoteClosed tells the handler that no more will be received.
func (s *Stream) RemoteClosed() {
	if s.io != nil {
		s.io.remoteClosed()
		return
	}
	if h := s.Handler(); !h.IsZero() {
		_ = h.Control(&RemoteClosed{s})
	}
}

// End tells everybody that the stream is over: err is nil after an orderly end. Later calls do
// nothing.
func (s *Stream) End(err error) {
	s.mu.Lock()
	if s.gone {
		s.mu.Unlock()
		return
	}
	s.gone = true
	s.err = err
	out := s.out
	s.out = nil
	h := s.handler
	io := s.io
	s.mu.Unlock()
	for _, b := range out {
		b.Release()
	}
	if io != nil {
		io.end(err)
	}
	if !h.IsZero() {
		_ = h.Control(&Ended{Stream: s, Err: err})
	}
}

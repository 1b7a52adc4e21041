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
	"io"
	"runtime"
	"sync"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// Handler is what a protocol's streams are given to: either Actor or Run is set.
type Handler struct {
	// Actor says how to spawn the handler actor of one stream, which receives the messages
	// of this package.
	Actor func(*Stream) actors.Spec
	// Inline has the connection call Actor in its own turn, which saves a wake-up: for an Actor
	// that only returns a Spec and never calls user code.
	Inline bool
	// Bounded has the connection's own goroutine run turns of the actor, which saves another
	// wake-up: for built-in actors, whose turns are short and never call user code.
	Bounded bool
	// Pace, if set, has the connection's own goroutine run turns of the actor while the last ones were
	// short, whatever they call: actors.Spec.Pace. A protocol's handlers share one. System.Handle sets it
	// if nobody has; actors.SlowPace is for handlers of which one knows that they block now and then.
	Pace *actors.Pace
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
	// Explain makes the errors that users of a stream see out of the node's own; nil leaves
	// them as they are.
	Explain func(op string, err error) error
}

// explain does not touch io.EOF: an orderly end is no error.
func (s *Stream) explain(op string, err error) error {
	if f := s.info.Conn.Explain; f != nil && err != nil && err != io.EOF { //nolint:errorlint // EOF itself
		return f(op, err)
	}
	return err
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
	smallNote = 4 << 10
	// CopyCap is the same for the small Writes of a blocking handler, which are copied so that the
	// next one or the close joins them. One that finds it full waits.
	CopyCap = 2 * smallNote
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

	mu      sync.Mutex
	told    bool // the session has this Stream in its mailbox
	gone    bool // the session knows the stream no more
	owes    bool // and yet waits to hear what is read of it
	shut    bool // CloseWrite or Reset: nothing may be written any more
	lent    bool // the session has a blocking Write's body
	blocked bool
	corked  bool  // a message of the session's is in the handler's hands
	noted   bool  // and the handler has asked for something since
	ending  bool  // RemoteClosed is next for the handler, or in its hands
	queued  int   // cost of what was given to Write and is not sealed yet
	sent    int   // bytes that were given to Write since poll was called
	err     error // why it is gone
	want    Order // what was asked for since the last Take

	handler actors.Ref[any] // actor mode
	data    Data            // the one Data that may be out
	says    messages
	io      *blocking // blocking mode
	poll    func() bool
}

// messages are those that a stream sends once, or that say the same every time. Three say no more
// than which stream they are of, and are one piece of memory.
type messages struct {
	opened Opened
	ended  Ended
}

func (m *messages) writable() *Writable         { return (*Writable)(&m.opened) }
func (m *messages) remoteClosed() *RemoteClosed { return (*RemoteClosed)(&m.opened) }

func (s *Stream) command() {}

// New makes the handle for a session, which begins with a Take: nothing is told before that.
func New(ref actors.Ref[Command], info Info) *Stream {
	s := &Stream{ref: ref, info: info, told: true}
	s.data.Stream = s
	s.says = messages{Opened{s}, Ended{Stream: s}}
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

// tell is called with mu held and gives it up. A large body is sealed right here, on the goroutine
// that has it in its caches. Small notes wait for what follows at once, a second Write or the close,
// and share a turn of the session with it, a frame and a system call: those of an actor handler wait
// for the end of its turn, others are posted.
func (s *Stream) tell() {
	switch {
	case s.want.HasWrite, s.queued > smallNote, s.want.Consumed > smallNote:
		s.say()
	case s.told, s.gone && !s.owes:
		s.mu.Unlock()
	case s.corked:
		s.noted = true
		s.mu.Unlock()
	default:
		s.told = true
		s.mu.Unlock()
		_ = s.ref.Send(s)
	}
}

// uncork is called with mu held, at the end of a handler's turn, and gives it up. What the handler
// has asked for goes to the session right here.
func (s *Stream) uncork() {
	noted := s.noted
	s.corked, s.noted = false, false
	if !noted {
		s.mu.Unlock()
		return
	}
	s.say()
}

// say is called with mu held and gives it up. The session takes the note right here, if it can.
func (s *Stream) say() {
	if s.told || s.gone && !s.owes {
		s.mu.Unlock()
		return
	}
	s.told = true
	poll := s.poll != nil && s.sent >= pollEvery
	if poll {
		s.sent = 0
	}
	s.mu.Unlock()
	_ = s.ref.Offer(s)
	if poll && s.poll() {
		runtime.Gosched() // for whoever has waited for what was read
	}
}

// pollEvery is after how many bytes written a stream looks for what the connection has received: much
// is written by a goroutine that would leave nobody else the processor.
const pollEvery = 64 << 10

// Poll has a stream that much is written to call poll now and then, on the writer's goroutine. It is set
// before anybody else has the handle.
func (s *Stream) Poll(poll func() bool) { s.poll = poll }

// help has what was posted done by the goroutine that would wait for the answer to it.
func (s *Stream) help() {
	s.mu.Lock()
	s.io.dialog, s.io.writes = s.io.writes == 1, 0
	switch {
	case s.told:
		s.mu.Unlock()
		s.ref.Help()
	case s.want.Consumed > 0:
		s.say()
	default:
		s.mu.Unlock()
	}
}

// Write gives b away to be sent: an actor handler's write. It never waits.
func (s *Stream) Write(b *buf.Buf) Result {
	s.mu.Lock()
	if s.gone || s.shut {
		s.mu.Unlock()
		b.Release()
		return Refused
	}
	if s.blocked {
		s.fail(CodeLocalFault, ErrWriteWhileBlocked)
		b.Release()
		return Refused
	}
	s.want.Out = append(s.want.Out, b)
	s.sent += len(b.B)
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
func (s *Stream) CloseWrite() { s.close(true, false) }

// CloseRead says that the handler reads no more: what arrives is dropped.
func (s *Stream) CloseRead() { s.close(false, true) }

// Close is CloseWrite and CloseRead: the handler is done with the stream. It does not wait.
func (s *Stream) Close() { s.close(true, true) }

func (s *Stream) close(write, read bool) {
	s.mu.Lock()
	s.shut = s.shut || write
	s.want.CloseWrite = s.want.CloseWrite || write
	s.want.CloseRead = s.want.CloseRead || read
	s.tell()
}

// Reset ends both directions at once and tells the remote the code.
func (s *Stream) Reset(code uint32) { s.Fail(code, nil) }

// Fail is Reset with a local reason, which Err shows.
func (s *Stream) Fail(code uint32, why error) {
	s.mu.Lock()
	s.fail(code, why)
}

// fail is called with mu held and gives it up. The first reason counts.
func (s *Stream) fail(code uint32, why error) {
	s.shut = true
	if !s.want.Reset {
		s.want.Reset, s.want.Code, s.want.Why = true, code, why
	}
	s.tell()
}

// credit gives n bytes of read credit back. Little of it waits for the reader to write, or to wait
// for more, unless the session waits for it.
func (s *Stream) credit(n int) {
	if n == 0 {
		return
	}
	s.mu.Lock()
	s.want.Consumed += n
	if s.want.Consumed <= smallNote && !s.owes {
		s.mu.Unlock()
		return
	}
	s.tell()
}

// Err is why the stream has ended; nil while it lives and after an orderly end.
func (s *Stream) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

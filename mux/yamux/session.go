package yamux

import (
	"errors"
	"slices"
	"time"

	"github.com/troupe-p2p/troupe/internal/bucket"
)

// Role is the end of the connection that a Session is.
type Role uint8

// The roles. The client is who dialled, and opens streams with odd IDs.
const (
	Client Role = iota
	Server
)

// Session is one end of a yamux connection. Its one caller owns it and all of its state.
type Session struct {
	cfg *Config   // not to be changed: of many sessions
	now time.Time // of the latest call
	err error     // why it ended

	// Input.
	in       []byte // borrowed, what is left of HandleBytes' p
	part     [HeaderSize]byte
	partLen  uint8
	role     Role // here, where it costs nothing, as draining
	draining bool // GoAway(0) was called
	numFree  uint8
	body     struct { // of the data frame being read
		st   *stream // nil: skip it
		left uint32
		fin  bool
	}
	lastRecv time.Time
	reader   reader

	// Streams.
	streams             map[uint32]*stream
	free                *stream // ended ones, by links[0].next
	nextID              uint32
	heldSYNs            int32
	inbound             int // open streams of the remote's
	unaccepted, unacked int
	held, grown, excess int // sums over streams: bytes not consumed, windows above ProtocolWindow, held beyond that
	windowBudget, short int
	narrow              *stream // the one that the budget has cut last
	wider               int     // what its window was to be
	moves               uint64  // of streams that hold something
	remoteGone          *GoAwayError
	closing             []uint32

	// Output.
	events   eventQueue
	hdr      [HeaderSize]byte
	controlq queue
	dataq    lines
	pongs    ring[uint32]
	resets   ring[reset]
	owed     int // resets of the remote's streams among them
	ping     pinger
	goAway   *Header

	rtt      time.Duration
	control  bucket.Bucket
	rapid    bucket.Bucket
	late     late
	refusals int
	earned   int
	stats    counters
}

// reset is an RST to be written.
type reset struct{ id, code uint32 }

// New returns a session that has one frame to write, the first ping.
func New(cfg Config, role Role, now time.Time) *Session {
	full := cfg.WithDefaults()
	return NewShared(&full, role, now)
}

// NewShared is New for many sessions with one configuration, which WithDefaults has made and which
// does not change any more.
func NewShared(cfg *Config, role Role, now time.Time) *Session {
	s := &Session{
		cfg:          cfg,
		role:         role,
		now:          now,
		lastRecv:     now,
		reader:       reader{proof: now},
		streams:      map[uint32]*stream{},
		nextID:       1,
		windowBudget: cfg.WindowBudget,
		controlq:     queue{k: controlQueue},
		dataq:        newLines(),
		control:      bucket.New(cfg.ControlBurst, cfg.ControlRate, now),
		rapid:        bucket.New(cfg.ResetBurst, cfg.ResetRate, now),
	}
	if role == Server {
		s.nextID = 2
	}
	s.Ping(now)
	return s
}

// HandleBytes gives the session bytes that arrived. p is borrowed until Next returns false;
// until then no other bytes are taken. An error means that none were taken now; what is wrong
// with the bytes themselves shows as an Ended event.
func (s *Session) HandleBytes(now time.Time, p []byte) error {
	s.now = now
	switch {
	case s.err != nil:
		return s.err
	case len(s.in) > 0 || s.events.len() > 0:
		return ErrNotDrained
	case len(p) > 0:
		s.lastRecv = now
		if s.reader.doubt.IsZero() {
			s.reader.doubt = now
		}
		s.in = p
		s.stats.BytesIn += uint64(len(p))
	}
	return nil
}

// HandleClosed says that the conduit under the session has ended, and why.
func (s *Session) HandleClosed(now time.Time, cause error) {
	s.now = now
	if s.err == nil {
		s.end(&ClosedError{Cause: cause, MidFrame: s.partLen > 0 || s.body.left > 0}, false)
	}
}

// Next returns the next event; false when all input is used up and may be overwritten.
func (s *Session) Next() (Event, bool) {
	for {
		if ev, ok := s.events.pop(); ok {
			return ev, true
		}
		if len(s.closing) > 0 {
			id := s.closing[0]
			s.closing = s.closing[1:]
			return Event{Kind: StreamClosed, ID: id}, true
		}
		if s.err != nil || len(s.in) == 0 {
			s.in = nil
			return Event{}, false
		}
		s.step()
	}
}

// Err is why the session ended, nil while it lives.
func (s *Session) Err() error { return s.err }

// GoAway ends the session from this end. With code 0 new streams of either side are refused,
// those that are open may finish, and the frame is written after the last of them; called
// again, or with another code, it ends the session at once.
func (s *Session) GoAway(now time.Time, code uint32) {
	s.now = now
	if s.err != nil {
		return
	}
	if code != GoAwayNormal || s.draining {
		s.end(&GoAwayError{Code: code}, true)
		return
	}
	s.draining = true
	s.finishIfDrained()
}

func (s *Session) finishIfDrained() {
	if s.draining && s.err == nil && len(s.streams) == 0 {
		s.end(&GoAwayError{Code: GoAwayNormal}, true)
	}
}

// fail ends the session for a fault of the remote's or a limit, and tells the remote.
func (s *Session) fail(e *Error) { s.end(e, true) }

// end is the only way to the end. Streams are not told apart any more: their StreamClosed
// events are made as Next asks for them.
func (s *Session) end(err error, tell bool) {
	if s.err != nil {
		return
	}
	s.err = err
	s.events.push(Event{Kind: Ended, Err: err})
	s.closing = make([]uint32, 0, len(s.streams))
	for id := range s.streams { // order-free: sorted below
		s.closing = append(s.closing, id)
	}
	slices.Sort(s.closing)

	s.stats.Code = endCode(err)
	if tell {
		s.goAway = &Header{Type: TypeGoAway, Length: s.stats.Code}
	}
	s.streams, s.free, s.numFree, s.narrow = nil, nil, 0, nil
	s.controlq, s.dataq = queue{k: controlQueue}, newLines()
	s.pongs = ring[uint32]{}
	if !s.draining {
		// A drained session has told every stream's end; its last resets go out too.
		s.resets, s.owed = ring[reset]{}, 0
	}
	s.ping = pinger{}
	s.in, s.body.st = nil, nil
	s.inbound, s.unaccepted, s.unacked, s.held, s.grown, s.excess = 0, 0, 0, 0, 0, 0
}

// endCode is the GoAway code that says err.
func endCode(err error) uint32 {
	var fault *Error
	if errors.As(err, &fault) {
		return fault.Code
	}
	var gone *GoAwayError
	if errors.As(err, &gone) {
		return gone.Code
	}
	return GoAwayNormal
}

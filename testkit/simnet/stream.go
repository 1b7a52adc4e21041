package simnet

import (
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/troupe-p2p/troupe/addrs"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// state of a stream in its host's table.
type state uint8

const (
	asking  state = iota + 1 // SYN-SENT
	granted                  // SYN-RECEIVED
	open                     // and everything after, until its kernel forgets it
	gone
)

var states = [...]string{"none", "asking", "granted", "open", "gone"}

func (s state) String() string { return states[s] }

// finTimeout is how long a kernel remembers a stream that its process has closed and whose other
// end has not: Linux's.
const finTimeout = time.Minute

// stream is one end of a connection. It is a conduit.Raw.
type stream struct {
	pair
	n     *Network
	h     *Host
	num   uint64
	ends  conduit.Endpoints
	state state
	peer  *stream // the other end, once it is known
	out   flow
	timer func()    // stops what waits for the state to change
	dial  *dial     // not answered yet
	via   *listener // not handed over yet

	sink    conduit.Sink
	credits int
	in      chunks
	used    int64 // bytes that the sink has got
	told    int64 // of them the sender knows
	over    error // nothing comes behind in, and why
	ended   bool  // the present sink knows
	fin     bool  // the other end has closed its direction

	broken   error // writing fails, and why
	draining bool  // until Drained
	rest     []byte
	drained  bool // Drained is due
	drainErr error

	closed bool
	dead   bool // its process has crashed, and has not closed it since
	posted bool
	onPost func()
}

var _ conduit.Raw = (*stream)(nil)

func (h *Host) newStream(p pair, num uint64, dir conduit.Direction) *stream {
	s := &stream{
		pair: p, n: h.n, h: h, num: num,
		ends: conduit.Endpoints{
			Local: addrs.FromAddrPort("tcp", p.local), Remote: addrs.FromAddrPort("tcp", p.remote),
			Direction: dir, Transport: name,
		},
	}
	s.out.s = s
	s.out.onDue = s.out.arrive
	s.onPost = s.posting
	h.streams[p] = s
	h.take(tcpProto, p.local.Port())
	return s
}

// opened is called when both ends know each other.
func (s *stream) opened() {
	s.state = open
	s.stopTimer()
}

func (s *stream) stopTimer() {
	if s.timer != nil {
		s.timer()
		s.timer = nil
	}
}

// forget takes the stream out of its kernel's table.
func (s *stream) forget() {
	if s.state == gone {
		return
	}
	if s.via != nil {
		s.via.forget(s)
	}
	s.state = gone
	s.stopTimer()
	delete(s.h.streams, s.pair)
	s.h.release(tcpProto, s.local.Port())
}

// Endpoints implements conduit.Raw.
func (s *stream) Endpoints() conduit.Endpoints { return s.ends }

// Bind implements conduit.Raw.
func (s *stream) Bind(k conduit.Sink, credits int) {
	s.sink, s.credits, s.ended = k, max(credits, 1), false
	s.post()
}

// More implements conduit.Raw.
func (s *stream) More() {
	s.credits++
	s.post()
}

// TryWrite implements conduit.Raw.
func (s *stream) TryWrite(p []byte) (int, error) {
	switch {
	case s.draining:
		panic("simnet: TryWrite during a Drain")
	case s.broken != nil:
		return 0, s.broken
	}
	return s.push(p), nil
}

// push sends as much of p as the window allows.
func (s *stream) push(p []byte) int {
	total := 0
	for len(p) > 0 {
		k := min(len(p), s.out.room(), maxSegment)
		if k == 0 {
			s.out.full()
			break
		}
		s.out.add(Data, p[:k])
		p = p[k:]
		total += k
	}
	return total
}

// Drain implements conduit.Raw. There must be a sink to tell.
func (s *stream) Drain(p []byte) {
	switch {
	case s.sink == nil:
		panic("simnet: Drain before Bind")
	case s.draining:
		panic("simnet: Drain during a Drain")
	}
	s.draining, s.rest = true, p
	s.drain()
	s.post()
}

// drain goes on with a Drain.
func (s *stream) drain() {
	if !s.draining || s.drained {
		return
	}
	if s.broken == nil {
		if s.rest = s.rest[s.push(s.rest):]; len(s.rest) > 0 {
			return
		}
	}
	s.drained, s.drainErr, s.rest = true, s.broken, nil
}

// Close implements conduit.Raw. What was written still arrives, unless there are bytes that nobody
// has read: then the remote sees a reset.
func (s *stream) Close() error {
	s.close(fail(local, "read from", s.ends.Remote, net.ErrClosed))
	return nil
}

func (s *stream) close(why error) {
	if s.closed {
		return
	}
	s.closed, s.dead = true, false
	delete(s.h.owned, s)
	unread := s.in.n > 0
	s.in.drop()
	s.over = nil // what the remote did is no news any more
	s.end(why, fail(local, "write to", s.ends.Remote, net.ErrClosed))
	switch {
	case s.state == gone:
	case unread:
		s.abort()
	default:
		s.out.add(Fin, nil)
	}
	s.post()
}

// abort resets the stream.
func (s *stream) abort() {
	if s.state == gone {
		return
	}
	s.out.reset()
	s.forget()
}

// end stops both directions for good: reading behind what has come. The first reason stays, but an
// orderly end may still turn into another one.
func (s *stream) end(over, broken error) {
	if s.over == nil || s.over == io.EOF && !s.ended {
		s.over = over
	}
	if s.broken == nil {
		s.broken = broken
	}
	s.drain()
}

// lose ends the stream because of what came from the network, or did not.
func (s *stream) lose(err error) {
	if s.state == gone {
		return
	}
	s.out.drop()
	s.out.orphan = true
	s.forget()
	if d := s.dial; d != nil {
		d.fail(fail(remote, "dial", d.addr, err))
		return
	}
	s.end(fail(remote, "read from", s.ends.Remote, err), fail(remote, "write to", s.ends.Remote, err))
	s.post()
}

// reset is what a Reset from the other end does.
func (s *stream) reset() {
	if s.state == asking {
		s.lose(syscall.ECONNREFUSED)
	} else {
		s.lose(syscall.ECONNRESET)
	}
}

func (s *stream) timedOut() { s.lose(errTimedOut) }

// delivered is called when nothing of the stream's own is under way.
func (s *stream) delivered() {
	switch {
	case !s.closed || s.state != open:
	case s.fin:
		s.forget()
	case s.timer == nil:
		s.timer = s.n.after(finTimeout, s.forget)
	}
}

// die is the end of the process.
func (s *stream) die(dark bool) {
	switch {
	case s.state == gone:
	case dark:
		s.out.unplug()
	case s.state == open:
		s.out.reset()
	}
	s.forget()
	s.in.drop()
	if d := s.dial; d != nil {
		d.fail(fail(local, "dial", d.addr, ErrDown))
	}
	if !s.closed {
		s.dead = true
		delete(s.h.owned, s)
		s.over = nil
		s.end(fail(local, "read from", s.ends.Remote, ErrDown), fail(local, "write to", s.ends.Remote, ErrDown))
	}
}

func (s *stream) String() string {
	return fmt.Sprintf("stream %d of %s (%s, %s to %s)", s.num, s.h.name, s.state, s.local, s.remote)
}

package mux

import (
	"errors"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/mux/yamux"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// nativeMuxer drives a conduit that has streams of its own.
type nativeMuxer struct {
	c       conduit.Muxed
	ref     actors.Ref[any]
	streams map[uint64]*native
	events  []event
	hold    *buf.Buf // lent with the last Data event
	over    bool
}

// native is one stream of a Muxed conduit.
type native struct {
	s       conduit.MuxedStream
	id      uint64
	body    []byte
	sent    int // of body
	writing bool
	fin     bool // CloseWrite wanted
	finSent bool
	eof     bool
	deaf    bool
	bufs    int // read buffers taken and not credited back
	unread  int // bytes of them that are not consumed
	ended   bool
}

// Events of the conduit, as messages of the session.
type (
	nativeAccepted struct{ s conduit.MuxedStream }
	nativeCanOpen  struct{}
	nativeEnded    struct {
		code   uint32
		remote bool
		err    error
	}
	nativeData struct {
		id uint64
		b  *buf.Buf
	}
	nativeWritable struct{ id uint64 }
	nativeEOF      struct{ id uint64 }
	nativeReset    struct {
		id     uint64
		code   uint32
		remote bool
		err    error
	}
)

// Discard implements actors.Discarder.
func (m *nativeData) Discard(error)     { m.b.Release() }
func (m *nativeAccepted) Discard(error) { _ = m.s.Reset(0) }

// nativeReads is how many read buffers of a stream may be with the session.
const nativeReads = 2

type nativeSink struct{ ref actors.Ref[any] }

func (s nativeSink) Accepted(st conduit.MuxedStream) { _ = s.ref.Send(&nativeAccepted{st}) }
func (s nativeSink) CanOpen()                        { _ = s.ref.Control(&nativeCanOpen{}) }
func (s nativeSink) Ended(code uint32, remote bool, err error) {
	_ = s.ref.Control(&nativeEnded{code, remote, err})
}

type nativeStreamSink struct {
	ref actors.Ref[any]
	id  uint64
}

func (s nativeStreamSink) Offer(b *buf.Buf) { _ = s.ref.Send(&nativeData{s.id, b}) }
func (s nativeStreamSink) Writable()        { _ = s.ref.Send(&nativeWritable{s.id}) }
func (s nativeStreamSink) RemoteClosed()    { _ = s.ref.Send(&nativeEOF{s.id}) }
func (s nativeStreamSink) Reset(code uint32, remote bool, err error) {
	_ = s.ref.Send(&nativeReset{s.id, code, remote, err})
}

func newNativeMuxer(c conduit.Muxed) *nativeMuxer {
	return &nativeMuxer{c: c, streams: map[uint64]*native{}}
}

func (m *nativeMuxer) start(ref actors.Ref[any]) {
	m.ref = ref
	m.c.Bind(nativeSink{ref})
}

func (m *nativeMuxer) add(s conduit.MuxedStream) *native {
	n := &native{s: s, id: s.ID()}
	m.streams[n.id] = n
	return n
}

func (m *nativeMuxer) input(_ time.Time, msg any) bool {
	switch msg := msg.(type) {
	case *nativeAccepted:
		if m.over {
			_ = msg.s.Reset(0)
			return true
		}
		m.add(msg.s)
		m.events = append(m.events, event{kind: yamux.StreamOpened, id: msg.s.ID()})
	case *nativeCanOpen:
	case *nativeEnded:
		m.end(&yamux.GoAwayError{Code: msg.code, Remote: msg.remote}, msg.err)
	case *nativeData:
		n := m.streams[msg.id]
		if n == nil || n.ended || n.deaf {
			msg.b.Release()
			if n != nil && !n.ended {
				n.s.More()
			}
			return true
		}
		n.unread += len(msg.b.B)
		n.bufs++
		m.hold = msg.b
		m.events = append(m.events, event{kind: yamux.Data, id: n.id, p: msg.b.B})
	case *nativeWritable:
		if n := m.streams[msg.id]; n != nil {
			m.push(n)
		}
	case *nativeEOF:
		if n := m.streams[msg.id]; n != nil && !n.eof {
			n.eof = true
			m.events = append(m.events, event{kind: yamux.RemoteClosed, id: n.id})
			m.maybeGone(n)
		}
	case *nativeReset:
		if n := m.streams[msg.id]; n != nil && !n.ended {
			m.events = append(m.events, event{kind: yamux.StreamReset, id: n.id, code: msg.code, remote: msg.remote})
			m.gone(n)
		}
	default:
		return false
	}
	return true
}

func (m *nativeMuxer) end(ga *yamux.GoAwayError, err error) {
	if m.over {
		return
	}
	m.over = true
	var why error = ga
	if err != nil && ga.Code == 0 {
		why = err
	}
	m.events = append(m.events, event{kind: yamux.Ended, err: why})
	for _, n := range inOrder(m.streams) {
		m.gone(n)
	}
}

// push writes what the stream takes of its body, then the end.
func (m *nativeMuxer) push(n *native) {
	for n.writing && n.sent < len(n.body) {
		k, err := n.s.TryWrite(n.body[n.sent:])
		if err != nil || k == 0 {
			return // Writable or Reset follows
		}
		n.sent += k
	}
	if n.writing {
		n.writing = false
		m.events = append(m.events, event{kind: yamux.Written, id: n.id, n: len(n.body)})
		n.body = nil
	}
	if n.fin && !n.finSent && !n.writing {
		n.finSent = true
		_ = n.s.CloseWrite()
		m.maybeGone(n)
	}
}

func (m *nativeMuxer) maybeGone(n *native) {
	if n.eof && n.finSent {
		m.gone(n)
	}
}

func (m *nativeMuxer) gone(n *native) {
	if n.ended {
		return
	}
	n.ended = true
	delete(m.streams, n.id)
	m.events = append(m.events, event{kind: yamux.StreamClosed, id: n.id})
}

func (m *nativeMuxer) next(time.Time) (event, bool) {
	if len(m.events) == 0 {
		m.events = nil
		if m.hold != nil {
			m.hold.Release()
			m.hold = nil
		}
		return event{}, false
	}
	e := m.events[0]
	m.events = m.events[1:]
	return e, true
}

func (m *nativeMuxer) flush(time.Time) bool          { return len(m.events) > 0 }
func (m *nativeMuxer) timeout(time.Time)             {}
func (m *nativeMuxer) deadline() (time.Time, bool)   { return time.Time{}, false }
func (m *nativeMuxer) ping(time.Time)                {}
func (m *nativeMuxer) rtt() time.Duration            { return 0 }
func (m *nativeMuxer) bind(n *native)                { n.s.Bind(nativeStreamSink{m.ref, n.id}, nativeReads) }
func (m *nativeMuxer) accept(_ time.Time, id uint64) { m.with(id, m.bind) }

func (m *nativeMuxer) with(id uint64, f func(*native)) {
	if n := m.streams[id]; n != nil && !n.ended {
		f(n)
	}
}

var errOver = errors.New("the connection has ended")

func (m *nativeMuxer) open(time.Time) (uint64, error) {
	if m.over {
		return 0, errOver
	}
	s, err := m.c.OpenStream()
	if err != nil {
		return 0, err
	}
	n := m.add(s)
	m.bind(n)
	return n.id, nil
}

func (m *nativeMuxer) refuse(_ time.Time, id uint64, code uint32) { m.reset(time.Time{}, id, code) }

func (m *nativeMuxer) write(_ time.Time, id uint64, p []byte) error {
	n := m.streams[id]
	if n == nil || n.ended {
		return errOver
	}
	n.body, n.sent, n.writing = p, 0, true
	m.push(n)
	return nil
}

func (m *nativeMuxer) cancelWrite(id uint64) (sent int) {
	m.with(id, func(n *native) {
		sent = n.sent
		n.body, n.writing = nil, false
	})
	return sent
}

func (m *nativeMuxer) closeWrite(_ time.Time, id uint64) error {
	m.with(id, func(n *native) {
		n.fin = true
		m.push(n)
	})
	return nil
}

func (m *nativeMuxer) closeRead(_ time.Time, id uint64, code uint32) {
	m.with(id, func(n *native) {
		n.deaf = true
		_ = n.s.CloseRead(code)
	})
}

func (m *nativeMuxer) reset(_ time.Time, id uint64, code uint32) {
	m.with(id, func(n *native) {
		_ = n.s.Reset(code)
		m.gone(n)
	})
}

// consumed gives the conduit its read credits back once the handler is done with all it has.
func (m *nativeMuxer) consumed(_ time.Time, id uint64, k int) {
	m.with(id, func(n *native) {
		if n.unread <= 0 {
			return
		}
		if n.unread -= k; n.unread <= 0 {
			n.unread = 0
			for ; n.bufs > 0; n.bufs-- {
				n.s.More()
			}
		}
	})
}

func (m *nativeMuxer) goAway(_ time.Time, code uint32) {
	if m.over {
		return
	}
	_ = m.c.Close(code, "")
	m.end(&yamux.GoAwayError{Code: code}, nil)
}

func (m *nativeMuxer) close() {
	_ = m.c.Close(0, "")
	if m.hold != nil {
		m.hold.Release()
		m.hold = nil
	}
}

func inOrder(m map[uint64]*native) []*native {
	out := make([]*native, 0, len(m))
	for _, n := range m { // order-free: sorted below
		out = append(out, n)
	}
	for i := range out { // few, at the end of a connection
		for j := i; j > 0 && out[j].id < out[j-1].id; j-- {
			out[j], out[j-1] = out[j-1], out[j]
		}
	}
	return out
}

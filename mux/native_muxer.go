package mux

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/internal/clean"
	"github.com/troupe-p2p/troupe/mux/yamux"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// nativeReads is how many read buffers of a stream may be with the session. Attack: data that
// nobody reads; the conduit's own flow control bounds their size.
const nativeReads = 2

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
	sent    int  // of body
	stopped bool // the remote does not read what we write
	fin     bool
	finSent bool
	eof     bool
	deaf    bool
	// unread is what is not consumed of each read buffer, the oldest first. The conduit gets
	// the credit for a buffer back with its last byte.
	unread [nativeReads]int
	bufs   int
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

func (m *nativeMuxer) tell(e event) { m.events = append(m.events, e) }

func (m *nativeMuxer) input(_ time.Time, msg any) {
	switch msg := msg.(type) {
	case *nativeAccepted:
		if m.over {
			_ = msg.s.Reset(0)
			return
		}
		m.tell(event{kind: yamux.StreamOpened, id: m.add(msg.s).id})
	case *nativeCanOpen:
		m.tell(event{kind: canOpen})
	case *nativeEnded:
		var why error = &yamux.GoAwayError{Code: msg.code, Remote: msg.remote}
		if msg.err != nil && msg.code == 0 && !msg.remote {
			why = &yamux.ClosedError{Cause: clean.Error(msg.err)}
		}
		m.finish(why)
	case *nativeData:
		m.data(msg.id, msg.b)
	case *nativeWritable:
		m.with(msg.id, m.push)
	case *nativeEOF:
		m.with(msg.id, func(n *native) {
			if !n.eof {
				n.eof = true
				m.tell(event{kind: yamux.RemoteClosed, id: n.id})
				m.goneIfDone(n)
			}
		})
	case *nativeReset:
		m.with(msg.id, func(n *native) {
			m.tell(event{kind: yamux.StreamReset, id: n.id, code: msg.code, remote: msg.remote, err: clean.Error(msg.err)})
			m.gone(n)
		})
	}
}

func (m *nativeMuxer) data(id uint64, b *buf.Buf) {
	n := m.streams[id]
	if n == nil {
		b.Release()
		return
	}
	if n.deaf {
		b.Release()
		return
	}
	if len(b.B) == 0 || n.bufs == nativeReads {
		b.Release()
		n.s.More()
		return
	}
	n.unread[n.bufs] = len(b.B)
	n.bufs++
	m.hold = b
	m.tell(event{kind: yamux.Data, id: n.id, p: b.B})
}

// finish ends everything.
func (m *nativeMuxer) finish(why error) {
	if m.over {
		return
	}
	m.over = true
	m.tell(event{kind: yamux.Ended, err: why})
	all := make([]*native, 0, len(m.streams))
	for _, n := range m.streams { // order-free: sorted below
		all = append(all, n)
	}
	slices.SortFunc(all, func(a, b *native) int { return cmp.Compare(a.id, b.id) })
	for _, n := range all {
		m.gone(n)
	}
}

// push writes what the stream takes of its body, then the end.
func (m *nativeMuxer) push(n *native) {
	if n.body != nil {
		if !m.writeBody(n) {
			return
		}
		m.tell(event{kind: yamux.Written, id: n.id, n: len(n.body)})
		n.body, n.sent = nil, 0
	}
	if n.fin && !n.finSent {
		n.finSent = true
		_ = n.s.CloseWrite()
		m.goneIfDone(n)
	}
}

// writeBody reports whether the body is through. A remote that has stopped reading may have as
// much as there is: as with yamux, nobody hears of it.
func (m *nativeMuxer) writeBody(n *native) bool {
	for !n.stopped && n.sent < len(n.body) {
		k, err := n.s.TryWrite(n.body[n.sent:])
		n.sent += k
		switch {
		case err != nil:
			if n.s.CloseWrite() != nil {
				return false // the stream is gone: Reset follows
			}
			n.stopped = true
		case k == 0:
			return false // Writable follows
		}
	}
	return true
}

func (m *nativeMuxer) goneIfDone(n *native) {
	// A conduit does not tell the end of what nobody reads.
	if (n.eof || n.deaf) && n.finSent {
		m.gone(n)
	}
}

func (m *nativeMuxer) gone(n *native) {
	delete(m.streams, n.id)
	m.tell(event{kind: yamux.StreamClosed, id: n.id})
}

func (m *nativeMuxer) next(time.Time) (event, bool) {
	if len(m.events) == 0 {
		m.events = nil
		m.unhold()
		return event{}, false
	}
	e := m.events[0]
	m.events = m.events[1:]
	return e, true
}

func (m *nativeMuxer) unhold() {
	if m.hold != nil {
		m.hold.Release()
		m.hold = nil
	}
}

func (m *nativeMuxer) flush(time.Time, *int) bool    { return len(m.events) > 0 }
func (m *nativeMuxer) small() bool                   { return false }
func (m *nativeMuxer) busy() bool                    { return false }
func (m *nativeMuxer) timeout(time.Time)             {}
func (m *nativeMuxer) deadline() (time.Time, bool)   { return time.Time{}, false }
func (m *nativeMuxer) short(time.Time, int) bool     { return false } // the conduit bounds each stream
func (m *nativeMuxer) scarce() error                 { return nil }
func (m *nativeMuxer) unread() []uint64              { return nil }
func (m *nativeMuxer) keep(int)                      {}
func (m *nativeMuxer) giveBack()                     {}
func (m *nativeMuxer) ping(time.Time)                {}
func (m *nativeMuxer) pong() (time.Duration, bool)   { return 0, true }
func (m *nativeMuxer) bind(n *native)                { n.s.Bind(nativeStreamSink{m.ref, n.id}, nativeReads) }
func (m *nativeMuxer) accept(_ time.Time, id uint64) { m.with(id, m.bind) }

func (m *nativeMuxer) with(id uint64, f func(*native)) {
	if n := m.streams[id]; n != nil {
		f(n)
	}
}

var errOver = errors.New("the connection has ended")

func (m *nativeMuxer) open(time.Time) (uint64, bool, error) {
	if m.over {
		return 0, false, errOver
	}
	s, err := m.c.OpenStream()
	if err != nil {
		return 0, true, err // CanOpen follows, or Ended
	}
	n := m.add(s)
	m.bind(n)
	return n.id, false, nil
}

func (m *nativeMuxer) refuse(now time.Time, id uint64, code uint32) { m.reset(now, id, code) }

func (m *nativeMuxer) write(_ time.Time, id uint64, p []byte) error {
	n := m.streams[id]
	if n == nil {
		return errOver
	}
	n.body, n.sent = p, 0
	m.push(n)
	return nil
}

func (m *nativeMuxer) cancelWrite(id uint64) (sent int) {
	m.with(id, func(n *native) {
		sent = n.sent
		n.body, n.sent = nil, 0
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
		m.goneIfDone(n)
	})
}

func (m *nativeMuxer) reset(_ time.Time, id uint64, code uint32) {
	m.with(id, func(n *native) {
		_ = n.s.Reset(code)
		m.gone(n)
	})
}

func (m *nativeMuxer) consumed(_ time.Time, id uint64, k int) {
	m.with(id, func(n *native) {
		for k > 0 && n.bufs > 0 {
			if n.unread[0] > k {
				n.unread[0] -= k
				return
			}
			k -= n.unread[0]
			copy(n.unread[:], n.unread[1:n.bufs])
			n.bufs--
			n.s.More()
		}
	})
}

func (m *nativeMuxer) end(_ time.Time, code uint32, reason string) {
	if m.over {
		return
	}
	_ = m.c.Close(code, reason)
	m.finish(&yamux.GoAwayError{Code: code})
}

func (m *nativeMuxer) close() {
	_ = m.c.Close(0, "")
	m.unhold()
}

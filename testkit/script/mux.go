package script

import (
	"fmt"
	"io"
	"slices"

	"github.com/troupe-p2p/troupe/mux/yamux"
)

// Mux keeps the rules of yamux for a peer: it answers pings, grants credit and acknowledges what
// the remote opens. Frames can be sent by hand beside it, and Want on the peer sees every frame
// that comes; Later passes over those that do not matter.
type Mux struct {
	p    *Peer
	core *yamux.Session

	// Guarded by the peer's lock.
	streams map[uint32]*Stream // that live
	fresh   []*Stream          // opened by the remote, not accepted by the test
}

// maxSeen is how many bytes of frames wait for a Want; older ones are forgotten.
const maxSeen = 1 << 20

// Mux puts the rules of yamux on the peer's channel, which must be as far. What has come and was
// not taken is the muxer's.
func (p *Peer) Mux() *Mux {
	cfg := yamux.Config{KeepAlive: -1, ActivePing: -1, AcceptBacklog: yamux.DefaultMaxInboundStreams}
	m := &Mux{p: p, streams: map[uint32]*Stream{}, core: yamux.New(cfg, p.role(), p.d.Now())}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mux = m
	m.drain()
	if len(p.in) > 0 {
		m.receive(slices.Clone(p.in))
	}
	return m
}

// Open opens a stream. Its SYN leaves at once.
func (m *Mux) Open() *Stream {
	m.p.t.Helper()
	m.p.mu.Lock()
	defer m.p.mu.Unlock()
	id, err := m.core.OpenStream(m.p.d.Now())
	if err != nil {
		m.p.t.Fatal(err)
	}
	s := m.add(id)
	s.note("-> opens")
	m.drain()
	return s
}

// Accept waits for a stream that the remote opens.
func (m *Mux) Accept(reason string) *Stream {
	m.p.t.Helper()
	if !m.p.run(func() bool { return len(m.fresh) > 0 || m.p.end != nil }) || len(m.fresh) == 0 {
		m.p.fail(reason, "a stream that the remote opens", Frame{}, "there is none")
	}
	m.p.mu.Lock()
	defer m.p.mu.Unlock()
	s := m.fresh[0]
	m.fresh = m.fresh[1:]
	s.note("<- is opened")
	return s
}

// GoAway ends the session by the rules: with code 0 once all streams have ended.
func (m *Mux) GoAway(code uint32) {
	m.p.mu.Lock()
	defer m.p.mu.Unlock()
	m.p.note("-> %s", GoAway(code))
	m.core.GoAway(m.p.d.Now(), code)
	m.drain()
}

func (m *Mux) add(id uint32) *Stream {
	s := &Stream{m: m, ID: id}
	s.Channel = Channel{p: m.p, label: fmt.Sprintf("%s stream %d", m.p.label, id), write: s.send}
	m.streams[id] = s
	return s
}

// receive is called with the peer's lock held, and so is everything below.
func (m *Mux) receive(b []byte) {
	m.forget()
	_ = m.core.HandleBytes(m.p.d.Now(), b)
	m.drain()
}

// forget drops the oldest frames that no Want has taken.
func (m *Mux) forget() {
	p := m.p
	if len(p.in) < maxSeen {
		return
	}
	for len(p.in) > maxSeen/2 {
		_, n, err := parseFrame(p.in)
		if err != nil {
			return
		}
		p.in = p.in[n:]
	}
}

func (m *Mux) ended(err error) {
	m.core.HandleClosed(m.p.d.Now(), err)
	m.drain()
}

// drain takes every output of the core. Events and frames make each other.
func (m *Mux) drain() {
	for again := true; again; {
		again = false
		for ev, ok := m.core.Next(); ok; ev, ok = m.core.Next() {
			m.event(ev)
		}
		for hdr, body, ok := m.core.NextWrite(); ok; hdr, body, ok = m.core.NextWrite() {
			m.p.send(slices.Concat(hdr, body))
			again = true
		}
	}
}

func (m *Mux) event(ev yamux.Event) {
	if ev.Kind == yamux.StreamOpened {
		s := m.add(ev.ID)
		m.fresh = append(m.fresh, s)
		m.core.Accept(m.p.d.Now(), ev.ID)
		return
	}
	s := m.streams[ev.ID]
	if s == nil {
		return
	}
	switch ev.Kind {
	case yamux.Data:
		s.got(ev.P)
		s.owed += ev.N
		s.credit()
	case yamux.RemoteClosed:
		s.ended(io.EOF)
	case yamux.StreamReset:
		s.ended(&ResetError{Code: ev.Code, Remote: ev.Remote})
	case yamux.Written:
		s.busy = false
		s.flush()
	case yamux.StreamClosed:
		s.over = true
		s.ended(errClosed)
		delete(m.streams, ev.ID)
	default:
	}
}

package memory

import (
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// steps is an executor whose steps a test runs one by one.
type steps struct{ q []Step }

func (s *steps) Post(x Step) { s.q = append(s.q, x) }

func (s *steps) one() bool {
	if len(s.q) == 0 {
		return false
	}
	x := s.q[0]
	s.q = s.q[1:]
	x.Step()
	return true
}

// fuzzPair connects two ends and drives them to that point.
func fuzzPair(t *testing.T, ex *steps, cfg Config) (a, b conduit.Conduit) {
	t.Helper()
	cfg.Executor = ex
	tr := New(nil, cfg) // no step fails here, so that nothing asks for the runtime
	l, err := tr.Listen(anyAddr, &capture{&b})
	if err != nil {
		t.Fatal(err)
	}
	tr.Dial(context.Background(), l.Addr(), "", func(c conduit.Conduit, err error) {
		if err != nil {
			t.Fatal(err)
		}
		a = c
	})
	for ex.one() {
	}
	_ = l.Close()
	return a, b
}

type capture struct{ c *conduit.Conduit }

func (x *capture) Accepted(c conduit.Conduit) { *x.c = c }
func (x *capture) Failed(error)               {}
func (x *capture) Degraded(error)             {}

// rawModel is what one end has to see: a prefix of what the other has written.
type rawModel struct {
	t        *testing.T
	wrote    []byte // of this end
	peer     *rawModel
	read     int
	credits  int
	draining bool
	lost     bool // a Drain failed
	broken   bool
	over     int
}

func (m *rawModel) Offer(b *buf.Buf) {
	if m.credits--; m.credits < 0 {
		m.t.Fatal("an offer without a credit")
	}
	if m.broken {
		m.t.Fatal("an offer after Close")
	}
	if !bytes.HasPrefix(m.peer.wrote[m.read:], b.B) || len(b.B) == 0 {
		m.t.Fatal("bytes that the other end did not write")
	}
	m.read += len(b.B)
	b.Release()
}

func (m *rawModel) Drained(err error) {
	m.lost = m.lost || err != nil
	if !m.draining {
		m.t.Fatal("Drained without a Drain")
	}
	m.draining = false
}

func (m *rawModel) Ended(err error) {
	if m.over++; m.over > 1 {
		m.t.Fatal("Ended twice")
	}
	if err == io.EOF && m.read < len(m.peer.wrote) && !m.peer.draining && !m.peer.lost {
		m.t.Fatal("an orderly end before all bytes")
	}
}

// FuzzRaw plays any sequence of calls on the two ends of a pipe.
func FuzzRaw(f *testing.F) {
	f.Add([]byte{0, 9, 20, 200, 40, 2, 60, 60, 80, 1, 60, 60, 60, 60})
	f.Add([]byte{0, 0, 1, 0, 40, 255, 40, 255, 120, 0, 80, 9, 60, 60, 60})
	f.Add([]byte{0, 1, 40, 50, 80, 0, 100, 0, 1, 1, 200, 3, 200, 3}) // broken behind an orderly end
	f.Add([]byte{0, 1, 1, 1, 40, 255, 40, 255, 140, 0, 60, 60, 60, 60, 60})
	f.Fuzz(func(t *testing.T, ops []byte) {
		before := buf.Live()
		ex := &steps{}
		ca, cb := fuzzPair(t, ex, Config{Window: 1000, ReadBuffer: 300})
		ends := [2]conduit.Raw{ca.Raw, cb.Raw}
		ma, mb := &rawModel{t: t}, &rawModel{t: t}
		ma.peer, mb.peer = mb, ma
		models := [2]*rawModel{ma, mb}
		bound := [2]bool{}
		for i := 0; i+1 < len(ops); i += 2 {
			who, arg := int(ops[i]&1), int(ops[i+1])
			c, m := ends[who], models[who]
			switch ops[i] / 20 {
			case 0:
				m.credits, m.over = max(arg%4, 1), 0
				c.Bind(m, arg%4)
				bound[who] = true
			case 1:
				if bound[who] {
					m.credits++
					c.More()
				}
			case 2, 3:
				if m.draining || !bound[who] {
					break
				}
				p := bytes.Repeat([]byte{byte(i)}, arg*3)
				n, err := c.TryWrite(p)
				if err != nil && n > 0 {
					t.Fatal("bytes and an error")
				}
				m.wrote = append(m.wrote, p[:n]...)
				if n < len(p) && ops[i]/20 == 3 {
					m.wrote = append(m.wrote, p[n:]...)
					m.draining = true
					c.Drain(p[n:])
				}
			case 4:
				_ = c.Close()
				m.broken = true
			case 5:
				c.(*rawEnd).Break(io.ErrUnexpectedEOF)
			default:
				for range arg % 4 {
					ex.one()
				}
			}
			for _, e := range []*rawEnd{ends[0].(*rawEnd), ends[1].(*rawEnd)} {
				if e.in.n > 1000 {
					t.Fatalf("%d bytes are held", e.in.n)
				}
			}
			if len(ex.q) > 2 {
				t.Fatalf("%d steps for two ends", len(ex.q))
			}
		}
		for who, c := range ends {
			_ = c.Close()
			models[who].broken = true
		}
		for ex.one() {
		}
		for who, m := range models {
			if m.draining || bound[who] && m.over != 1 {
				t.Fatalf("end %d: draining %v, ended %d times", who, m.draining, m.over)
			}
		}
		if buf.Live() != before {
			t.Fatal("a buffer was not released")
		}
	})
}

// muxModel takes whatever comes and holds on to the streams.
type muxModel struct {
	t       *testing.T
	streams []*streamModel
	over    int
	canOpen int
}

func (m *muxModel) Accepted(s conduit.MuxedStream) { m.add(s) }
func (m *muxModel) CanOpen()                       { m.canOpen++ }
func (m *muxModel) Ended(uint32, bool, error)      { m.over++ }
func (m *muxModel) add(s conduit.MuxedStream) {
	m.streams = append(m.streams, &streamModel{t: m.t, s: s})
}

type streamModel struct {
	t       *testing.T
	s       conduit.MuxedStream
	bound   bool
	credits int
	closed  int
	reset   int
}

func (m *streamModel) Offer(b *buf.Buf) {
	b.Release()
	if m.credits--; m.credits < 0 || m.closed+m.reset > 0 {
		m.t.Fatal("an offer without a credit, or after the end")
	}
}
func (m *streamModel) Writable()                 {}
func (m *streamModel) RemoteClosed()             { m.closed++ }
func (m *streamModel) Reset(uint32, bool, error) { m.reset++ }

// FuzzMuxed plays any sequence of calls on two ends of a muxed conduit and their streams.
func FuzzMuxed(f *testing.F) {
	f.Add([]byte{0, 0, 1, 0, 20, 0, 200, 3, 40, 0, 60, 9, 41, 0, 200, 3, 80, 0, 101, 0, 200, 3})
	f.Add([]byte{20, 0, 120, 0, 20, 0, 120, 0, 20, 0, 120, 0, 0, 0, 1, 0, 200, 3, 140, 0})
	f.Fuzz(func(t *testing.T, ops []byte) {
		before := buf.Live()
		ex := &steps{}
		const most = 3
		ca, cb := fuzzPair(t, ex, Config{Muxed: true, Key: key(1), Window: 1000, ReadBuffer: 300, MaxStreams: most})
		ends := [2]*muxedEnd{ca.Muxed.(*muxedEnd), cb.Muxed.(*muxedEnd)}
		models := [2]*muxModel{{t: t}, {t: t}}
		var bound [2]bool
		for i := 0; i+1 < len(ops); i += 2 {
			who, arg := int(ops[i]&1), int(ops[i+1])
			e, m := ends[who], models[who]
			var s *streamModel
			if n := len(m.streams); n > 0 {
				s = m.streams[arg%n]
			}
			op := ops[i] / 20
			switch {
			case op == 0:
				e.Bind(m)
				bound[who] = true
			case op == 1:
				if x, err := e.OpenStream(); err == nil {
					m.add(x)
				}
			case op == 7 && arg > 200:
				_ = e.Close(uint32(arg), "fuzz")
			case op > 7:
				for range arg % 4 {
					ex.one()
				}
			case s == nil:
			case op == 2:
				s.credits, s.bound = 1+arg%3, true
				s.s.Bind(s, 1+arg%3)
			case op == 3:
				_, _ = s.s.TryWrite(make([]byte, arg*3))
			case op == 4:
				_ = s.s.CloseWrite()
			case op == 5:
				_ = s.s.CloseRead(uint32(arg))
			case op == 6:
				_ = s.s.Reset(uint32(arg))
			case s.bound:
				s.credits++
				s.s.More()
			}
			for _, e := range ends {
				if e.opened < 0 || e.opened > most || len(e.arrived) > most {
					t.Fatalf("%d opened, %d arrived, at most %d", e.opened, len(e.arrived), most)
				}
			}
			if len(ex.q) > 2 {
				t.Fatalf("%d steps for two ends", len(ex.q))
			}
		}
		_ = ends[0].Close(0, "")
		for ex.one() {
		}
		for i, e := range ends {
			if e.opened != 0 || e.open.first != nil || e.open.last != nil || len(e.arrived)+len(e.busy) > 0 {
				t.Fatalf("end %d keeps streams: %d opened", i, e.opened)
			}
			if bound[i] && models[i].over == 0 {
				t.Fatalf("end %d was not told of the end", i)
			}
		}
		if buf.Live() != before {
			t.Fatal("a buffer was not released")
		}
	})
}

package muxtest

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/mux"
	"github.com/troupe-p2p/troupe/stream"
	"github.com/troupe-p2p/troupe/testkit/internal/plantedbug"
	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/tcp"

	ma "github.com/multiformats/go-multiaddr"
)

// TestTheSuiteRunsOverSockets: the two kinds of memory conduits are held to it by package mux.
func TestTheSuiteRunsOverSockets(t *testing.T) {
	Run(t, Subject{
		Name: "yamux over TCP",
		Link: func(t testing.TB, rt *actors.Runtime, _ LinkOptions) (a, b *messages.Link) {
			x, y := transporttest.Pair(t, tcp.New(rt, tcp.Config{}), ma.StringCast("/ip4/127.0.0.1/tcp/0"))
			return LinkTo(t, x, transporttest.Key(2).Public()), LinkTo(t, y, transporttest.Key(1).Public())
		},
		Real:    true,
		Slack:   16 << 20, // what Linux lets the buffers of a socket grow to
		Streams: 2000,
	})
}

// mutant is a bug in a muxer that is sound apart from it.
type mutant struct {
	subject func(s *Subject)
	muxed   bool
	found   string // the test that has to fail, group and name
}

var mutants = map[string]mutant{
	"codes are lost": {muxed: true, found: "endings/Reset_takes", subject: inStreams(func(s *badStream) {
		s.reset = func(uint32) error { return s.MuxedStream.Reset(0) }
	})},
	"one end in a thousand is lost": {muxed: true, found: "streams/ten_thousand", subject: func(s *Subject) {
		n := new(atomic.Int64)
		inStreams(func(s *badStream) {
			s.closeWrite = func() error {
				if n.Add(1) == 1000 {
					return nil
				}
				return s.MuxedStream.CloseWrite()
			}
		})(s)
	}},
	"a byte is lost": {muxed: true, found: "streams/what_is_sent", subject: inStreams(func(s *badStream) {
		s.write = func(p []byte) (int, error) {
			if len(p) > 1000 {
				n, err := s.MuxedStream.TryWrite(p[:len(p)-1])
				return min(n+1, len(p)), err
			}
			return s.MuxedStream.TryWrite(p)
		}
	})},
	"a window has no end": {muxed: true, found: "flow/a_reader_that_is_slow", subject: func(s *Subject) {
		link := s.Link
		s.Link = func(t testing.TB, rt *actors.Runtime, o LinkOptions) (a, b *messages.Link) {
			o.Window = 64 << 20
			return link(t, rt, o)
		}
	}},
	"budgets are not given back": {found: "streams/ten_thousand", subject: inSessions(func(cfg *mux.Config) {
		_ = cfg.Streams.Take(1)
	})},
	"probes are never answered": {found: "flow/a_probe", subject: aroundSessions(func(m any) bool {
		_, probe := m.(*messages.Probe)
		return probe
	})},
	"a goroutine is left": {found: "streams", subject: inSessions(func(*mux.Config) { go func() { select {} }() })},
	"a buffer is left":    {found: "streams/what", subject: inSessions(func(*mux.Config) { buf.Get(10) })},
	"the limit is not kept": {found: "faults/the_remote's", subject: inSessions(func(cfg *mux.Config) {
		cfg.Streams = nil
	})},
	"a handler's panic is not told": {muxed: true, found: "faults/a_thousand", subject: inStreams(func(s *badStream) {
		s.reset = func(code uint32) error {
			if code == stream.CodeHandlerPanic {
				return s.MuxedStream.CloseWrite()
			}
			return s.MuxedStream.Reset(code)
		}
	})},
}

// inSessions plants a bug in what a session is made of.
func inSessions(bug func(cfg *mux.Config)) func(s *Subject) {
	return func(s *Subject) {
		s.Session = func(cfg mux.Config) actors.Spec { bug(&cfg); return mux.Spec(cfg) }
	}
}

// aroundSessions makes sessions lose messages.
func aroundSessions(lost func(m any) bool) func(s *Subject) {
	return func(s *Subject) {
		s.Session = func(cfg mux.Config) actors.Spec {
			spec := mux.Spec(cfg)
			inner := spec.New
			spec.New = func() actor.Actor {
				a := inner()
				return ActorFunc(func(ctx actor.Context) {
					if !lost(ctx.Message()) {
						a.Receive(ctx)
					}
				})
			}
			return spec
		}
	}
}

// inStreams plants a bug in the streams of a Muxed conduit.
func inStreams(bug func(s *badStream)) func(s *Subject) {
	return func(s *Subject) {
		link := s.Link
		s.Link = func(t testing.TB, rt *actors.Runtime, o LinkOptions) (a, b *messages.Link) {
			a, b = link(t, rt, o)
			a.Muxed, b.Muxed = &badMuxed{a.Muxed, bug}, &badMuxed{b.Muxed, bug}
			return a, b
		}
	}
}

type badMuxed struct {
	conduit.Muxed
	bug func(s *badStream)
}

func (m *badMuxed) wrap(s conduit.MuxedStream) conduit.MuxedStream {
	b := &badStream{MuxedStream: s}
	m.bug(b)
	return b
}

func (m *badMuxed) OpenStream() (conduit.MuxedStream, error) {
	s, err := m.Muxed.OpenStream()
	if err != nil {
		return nil, err
	}
	return m.wrap(s), nil
}

func (m *badMuxed) Bind(s conduit.MuxedSink) { m.Muxed.Bind(&badSink{s, m}) }

type badSink struct {
	conduit.MuxedSink
	m *badMuxed
}

func (s *badSink) Accepted(st conduit.MuxedStream) { s.MuxedSink.Accepted(s.m.wrap(st)) }

type badStream struct {
	conduit.MuxedStream
	reset      func(code uint32) error
	closeWrite func() error
	write      func(p []byte) (int, error)
}

func (s *badStream) Reset(code uint32) error {
	if s.reset != nil {
		return s.reset(code)
	}
	return s.MuxedStream.Reset(code)
}

func (s *badStream) CloseWrite() error {
	if s.closeWrite != nil {
		return s.closeWrite()
	}
	return s.MuxedStream.CloseWrite()
}

func (s *badStream) TryWrite(p []byte) (int, error) {
	if s.write != nil {
		return s.write(p)
	}
	return s.MuxedStream.TryWrite(p)
}

// TestTheSuiteHoldsAMuxer is what runs in the processes of the test below, with muxers that are not
// sound; here it is a muxer with little to do.
func TestTheSuiteHoldsAMuxer(t *testing.T) {
	m, bad := mutants[plantedbug.Named()]
	s := Yamux()
	if m.muxed {
		s = Native()
	}
	s.Streams = 2000
	if bad {
		patience = 5 * time.Second
		if s.Link == nil {
			s.Link = Yamux().Link
		}
		m.subject(&s)
	}
	Run(t, s)
}

func TestTheSuiteFindsPlantedBugs(t *testing.T) {
	for name, m := range mutants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plantedbug.Found(t, name, "^TestTheSuiteHoldsAMuxer$/"+m.found, m.found)
		})
	}
}

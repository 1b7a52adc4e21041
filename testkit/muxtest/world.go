package muxtest

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/mux"
	"github.com/troupe-p2p/troupe/stream"
)

// World is one connection between two sides in a runtime of its own. Its tests use it beside the
// suite's.
type World struct {
	Subject Subject
	Runtime *actors.Runtime
	A, B    *Side // A has dialled
	// Wanted says whether a panic was meant to be. Default: those of handlers and of Kill.
	Wanted func(*actors.PanicError) bool
	// Kept is how many buffers dead handlers keep for ever.
	Kept int64

	t    testing.TB
	live int64
	once sync.Once
}

// Setup is what a test may choose.
type Setup struct {
	// Config is that of both sessions; who they are and what they use is filled in.
	Config mux.Config
	Link   LinkOptions
	// Streams and Buffers are what each side's budgets hold, RemoteStreams is B's number of
	// streams if it is another. Default: no limit.
	Streams, RemoteStreams, Buffers int64
	// Bare leaves A without a session: the test speaks for it.
	Bare bool
	// Bulk leaves buffers as they are when they go back; overwriting them takes longer than
	// anything else.
	Bulk bool
}

// patient is a Setup for tests in which a busy machine, and not the remote, makes an answer late.
func patient() Setup { return Setup{Config: mux.Config{NegotiateTimeout: Patience}} }

// NewWorld connects two sides. At the end of the test nothing may be left of them.
func NewWorld(t testing.TB, s Subject, set Setup) *World {
	t.Helper()
	_, test := t.(*testing.T)
	buf.Poison.Store(test && !set.Bulk)
	w := &World{Subject: s.withDefaults(), t: t, Wanted: Expected, live: buf.Live(), Runtime: actors.Live(actors.Options{})}
	a, b := w.Subject.Link(t, w.Runtime, set.Link)
	w.A, w.B = w.side("a", a), w.side("b", b)
	t.Cleanup(w.End)
	if !set.Bare {
		w.A.spawn(set)
	}
	if set.RemoteStreams != 0 {
		set.Streams = set.RemoteStreams
	}
	w.B.spawn(set)
	return w
}

// Pour writes to streams, size bytes at a time, until stop, and closes them then. done has a value for
// each that ended, its first error.
func (w *World) Pour(size int, stop <-chan struct{}, streams ...*stream.Blocking) (done <-chan error) {
	all := make(chan error, len(streams))
	for _, s := range streams {
		w.Runtime.Pump("writer", func() {
			p := make([]byte, size)
			var err error
			for err == nil {
				select {
				case <-stop:
					all <- s.Close()
					return
				default:
					_, err = s.Write(p)
				}
			}
			all <- err
		}, nil)
	}
	return all
}

// Elapse lets d pass on the virtual clock of a bubble of testing/synctest, and everything happen
// that is due by then. Anywhere else it panics.
func Elapse(d time.Duration) {
	synctest.Wait()
	<-time.After(d)
	synctest.Wait()
}

// Expected says that a panic is a handler's, or was asked for by Kill.
func Expected(e *actors.PanicError) bool {
	_, injected := e.Value.(*actors.Injected)
	return injected || strings.HasSuffix(e.Path, "/handler")
}

// End ends the world, once, and looks for what is left.
func (w *World) End() { w.once.Do(w.check) }

func (w *World) check() {
	w.t.Helper()
	for _, s := range []*Side{w.A, w.B} {
		s.Link.Close()
	}
	for _, s := range []*Side{w.A, w.B} {
		if !s.Session.IsZero() {
			w.Within(s.Name+"'s session ends with its conduit", s.Gone)
		}
		if used, _ := s.Streams.Used(); used != 0 {
			w.t.Errorf("%s: %d streams are on the books: %+v", s.Name, used, s.Streams.Shares())
		}
		if used, _ := s.Buffers.Used(); used != 0 {
			w.t.Errorf("%s: %d bytes of windows are on the books", s.Name, used)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if left := w.Runtime.Close(ctx); len(left) > 0 {
		w.t.Errorf("left behind: %v", left)
	}
	for _, f := range w.Runtime.Tree("").Failures {
		if !w.Wanted(f) {
			w.t.Errorf("a bug: %v\n%s", f, f.Stack)
		}
	}
	if n := w.Held() - w.Kept; n != 0 {
		w.t.Errorf("%d buffers are not given back", n)
	}
}

// Held is how many buffers are out.
func (w *World) Held() int64 { return buf.Live() - w.live }

// Side is one end: a supervisor with its session.
type Side struct {
	Name    string
	Conn    *stream.Conn
	Link    *messages.Link
	Session actors.Ref[messages.Session]
	Streams *actors.Budget
	Buffers *actors.Budget
	Gone    chan struct{} // the session has ended
	// OnLookup is called in the session's turn when the remote proposes a protocol.
	OnLookup func(name string)

	w        *World
	mu       sync.Mutex
	handlers map[string]stream.Handler
	ended    *messages.ConnEnded
	busy     bool // as the owner was told
}

func (w *World) side(name string, l *messages.Link) *Side {
	return &Side{
		w: w, Name: name, Link: l, Gone: make(chan struct{}), handlers: map[string]stream.Handler{},
		Streams: actors.NewBudget("streams", 0), Buffers: actors.NewBudget("buffers", 0),
		Conn: &stream.Conn{
			Endpoints: l.Endpoints, ID: 7, Peer: l.Peer, Key: l.PublicKey, Security: "/test", Muxer: w.Subject.Name,
		},
	}
}

// over follows all that a session has said.
type over struct{}

// spawn starts the side's supervisor with its session.
func (s *Side) spawn(set Setup) {
	s.w.t.Helper()
	s.Streams = actors.NewBudget("streams", set.Streams)
	s.Buffers = actors.NewBudget("buffers", set.Buffers)
	streams, buffers := s.Streams.Holder(s.Name), s.Buffers.Holder(s.Name)
	cfg := set.Config
	cfg.Conn, cfg.Lookup, cfg.Streams, cfg.Buffers = s.Conn, s.lookup, streams, buffers
	cfg.Secured, cfg.Muxed = s.Link.Secured, s.Link.Muxed
	up := make(chan actors.Ref[messages.Session], 1)
	owner := ActorFunc(func(ctx actor.Context) {
		switch m := ctx.Message().(type) {
		case *actor.Started:
			cfg.Owner = actors.Self[messages.Peer](ctx)
			spec := s.w.Subject.Session(cfg)
			spec.Name = "conn"
			ref, err := actors.Spawn[messages.Session](ctx, spec)
			if err != nil {
				panic(err)
			}
			up <- ref
		case *actor.Terminated:
			s.mu.Lock()
			s.busy = false // also when it had no time to say so
			s.mu.Unlock()
			streams.Close()
			buffers.Close()
			// It has overtaken what the session said of its end.
			_ = actors.Self[any](ctx).Control(&over{})
		case *over:
			close(s.Gone)
		case *messages.ConnEnded:
			s.mu.Lock()
			if s.ended != nil {
				s.w.t.Errorf("%s: the end is told twice", s.Name)
			}
			s.ended = m
			s.mu.Unlock()
		case *messages.StreamsChanged:
			s.mu.Lock()
			s.busy = m.Quiet.IsZero()
			s.mu.Unlock()
		}
	})
	_, err := actors.Root[messages.Peer](s.w.Runtime, actors.Spec{Name: s.Name, New: func() actor.Actor { return owner }})
	if err != nil {
		s.w.t.Fatal(err)
	}
	s.Session = Within(s.w.t, "spawning", up)
}

func (s *Side) lookup(name []byte) (string, stream.Handler, bool) {
	if s.OnLookup != nil {
		s.OnLookup(string(name))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	h, ok := s.handlers[string(name)]
	return string(name), h, ok
}

// Handle serves a protocol.
func (s *Side) Handle(protocol string, h stream.Handler) {
	s.mu.Lock()
	s.handlers[protocol] = h
	s.mu.Unlock()
}

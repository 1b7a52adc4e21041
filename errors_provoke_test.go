package troupe_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/protocols/demo"
	"github.com/troupe-p2p/troupe/protocols/echo"
	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

func badConfig(t *testing.T, edit func(*troupe.Config)) error {
	t.Helper()
	cfg := troupe.Config{}
	edit(&cfg)
	n, err := troupe.New(cfg)
	if err == nil {
		_ = n.Close(bounded(t))
	}
	return err
}

func secured(s troupe.Security) func(*troupe.Config) {
	return func(c *troupe.Config) { c.Security = []troupe.Security{s} }
}

func closedOpen(t *testing.T) error {
	n := newRealm(t).node()
	sub := n.Subscribe(t.Context(), 1)
	if err := n.Close(bounded(t)); err != nil {
		t.Fatal(err)
	}
	ctx := bounded(t)
	for name, call := range map[string]func() error{
		"dial":     func() error { _, err := n.Dial(ctx, stranger()); return err },
		"dial one": func() error { _, err := n.Dial(ctx, "", multiaddr(t, "/memory/1")); return err },
		"listen":   func() error { _, err := n.Listen(ctx, multiaddr(t, "/memory/1")); return err },
		"handle":   func() error { return n.Handle(echo.Protocol, echo.Handler()) },
		"unhandle": func() error { return n.Unhandle(echo.Protocol) },
		"conns":    func() error { _, err := n.Conns(ctx); return err },
		"peer":     func() error { _, err := n.Peer(ctx, stranger()); return err },
		"request": func() error {
			_, err := troupe.Request[text](ctx, n, stranger(), asked, wrapperspb.String(""))
			return err
		},
		"subscription": func() error {
			for {
				if _, _, err := sub.Next(ctx); err != nil {
					return err
				}
			}
		},
		"new subscription": func() error { _, _, err := n.Subscribe(ctx, 1).Next(ctx); return err },
	} {
		if err := call(); !errors.Is(err, troupe.ErrClosed) {
			t.Errorf("%s on a closed node: %v", name, err)
		}
	}
	n.Disconnect(stranger())
	n.AddAddrs(stranger(), 0)
	if err := n.Close(ctx); err != nil {
		t.Errorf("closing again: %v", err)
	}
	_, err := n.Open(ctx, stranger(), echo.Protocol)
	return err
}

// pendingOpen starts an open that waits for a handshake which never comes, does something, and
// returns what became of the open.
func pendingOpen(t *testing.T, n *troupe.System, then func()) error {
	return pendingOpenTo(t, n, stranger(), then)
}

func pendingOpenTo(t *testing.T, n *troupe.System, who identity.ID, then func()) error {
	t.Helper()
	answer := make(chan error, 1)
	ctx, at := bounded(t), silent(t)
	go func() {
		_, err := n.OpenWith(ctx, who, troupe.OpenOptions{Addrs: []ma.Multiaddr{at}}, echo.Protocol)
		answer <- err
	}()
	pathOf(t, n, "upgrade") // the dial is in its handshake
	then()
	return <-answer
}

// heldRead reads from a stream that has nothing to say, does something, and returns the error.
func heldRead(t *testing.T, a, b *troupe.System, then func()) error {
	t.Helper()
	register(t, b, echo.Protocol, echo.Handler())
	s := open(t, a, b.ID(), echo.Protocol)
	if _, err := s.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	then()
	_, err := s.Read(make([]byte, 1))
	return err
}

// fakeAnswers opens a stream to a fake remote, confirmed, and returns the error.
func fakeAnswers(t *testing.T, onData func(conduit.Muxed, conduit.MuxedStream), edit ...func(*troupe.Config)) error {
	t.Helper()
	f, n := newFake(t, onData, edit...)
	_, err := n.OpenWith(bounded(t), f.id, troupe.OpenOptions{Addrs: []ma.Multiaddr{f.addr}, Confirm: true}, echo.Protocol)
	return err
}

func stragglers(t *testing.T) error {
	w := newRealm(t)
	a := w.node()
	b, err := troupe.New(troupe.Config{Listen: []string{"/memory/0"}, Transports: []troupe.Transport{troupe.Memory(w.hub)}})
	if err != nil {
		t.Fatal(err)
	}
	release, entered := make(chan struct{}), make(chan struct{})
	hang := demo.Hang(release)
	register(t, b, demo.HangProtocol, troupe.StreamHandler(func(ctx context.Context, s *troupe.Stream) {
		close(entered)
		hang.Run(ctx, s)
	}))
	connect(t, a, b)
	s := open(t, a, b.ID(), demo.HangProtocol)
	if _, err := s.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err = b.Close(ctx)
	var left *troupe.StragglersError
	if !errors.As(err, &left) || len(left.Paths) != 1 || !strings.HasSuffix(left.Paths[0], "/handler") {
		t.Errorf("the handler is not named: %+v", left)
	}
	close(release)
	if err := b.Close(bounded(t)); err != nil {
		t.Errorf("closing again, with the handler gone: %v", err)
	}
	return err
}

// manyOpens waits with as many opens as may wait for one peer, and with one more.
func manyOpens(t *testing.T) error {
	n := newNode(t)
	who, at := stranger(), []ma.Multiaddr{silent(t)}
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	answers := make(chan error)
	for range 1024 + 1 {
		go func() {
			_, err := n.OpenWith(ctx, who, troupe.OpenOptions{Addrs: at}, echo.Protocol)
			answers <- err
		}()
	}
	err := <-answers
	stop()
	for range 1024 {
		if err := <-answers; !errors.Is(err, troupe.ErrDeadline) {
			t.Errorf("another open: %v", err)
		}
	}
	return err
}

// overload fills the mailbox of an actor that is held up inside an adapter.
func overload(t *testing.T) error {
	w := newRealm(t)
	slow := &slowAdapter{entered: make(chan struct{}), release: make(chan struct{})}
	n := w.node(func(c *troupe.Config) {
		c.Transports = []troupe.Transport{func(rt *actors.Runtime) (conduit.Transport, error) {
			in, err := troupe.Memory(w.hub)(rt)
			slow.Transport = in
			return slow, err
		}}
	})
	answer := make(chan error, 1)
	ctx := bounded(t)
	go func() {
		_, err := n.Dial(ctx, "", multiaddr(t, "/memory/666"))
		answer <- err
	}()
	<-slow.entered
	given, stop := context.WithCancel(t.Context())
	stop()
	who := stranger()
	var err error
	for range 1 << 15 {
		if _, err = n.Open(given, who, echo.Protocol); errors.Is(err, troupe.ErrOverload) {
			break
		}
	}
	close(slow.release)
	<-answer
	return err
}

// slowAdapter does not return from looking at /memory/666.
type slowAdapter struct {
	conduit.Transport
	entered, release chan struct{}
}

func (s *slowAdapter) CanDial(a ma.Multiaddr) bool {
	if a.String() == "/memory/666" {
		close(s.entered)
		<-s.release
	}
	return s.Transport.CanDial(a)
}

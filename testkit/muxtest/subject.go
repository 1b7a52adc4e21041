package muxtest

import (
	"context"
	"errors"
	"testing"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/mux"
	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/memory"

	ma "github.com/multiformats/go-multiaddr"
)

// Subject is a muxer under test.
type Subject struct {
	// Name shows in failures. Default "mux".
	Name string
	// Session is how to spawn the actor of a connection, which receives messages.Session.
	// Default: mux.Spec.
	Session func(cfg mux.Config) actors.Spec
	// Link makes a connection between two nodes, the first of which has dialled: bytes and what
	// secures them, or a Muxed conduit. What it starts belongs to rt. Default: bytes, over the
	// memory transport.
	Link func(t testing.TB, rt *actors.Runtime, o LinkOptions) (a, b *messages.Link)
	// Break ends a link from a's machine as its crash would. Default: what memory does for that.
	Break func(a *messages.Link)
	// Real says that time has to be the real one, because the link has sockets. Default: tests
	// that measure time run in a bubble of testing/synctest.
	Real bool
	// Window is how many bytes may be under way to a reader that has read nothing yet: what a
	// stream begins with. Default 256 KiB.
	Window int
	// Slack is what the link and the sessions may hold beside that, in bytes. Default 1 MiB.
	Slack int
	// Streams is how many short streams are opened in the test of that name. Default 10,000.
	Streams int
}

// LinkOptions are what a test asks of a link. A link that has no such thing ignores it.
type LinkOptions struct {
	// Window is how many bytes may wait on the way. Default: the link's own.
	Window int
	// MaxStreams is how many streams one end of a Muxed conduit may have open. Default 2048.
	MaxStreams int
}

// Yamux is this project's muxer on bytes over the memory transport.
func Yamux() Subject { return Subject{Name: "yamux"} }

// Native is a Muxed conduit of the memory transport.
func Native() Subject { return Subject{Name: "native", Link: muxedLink} }

func (s Subject) withDefaults() Subject {
	if s.Name == "" {
		s.Name = "mux"
	}
	if s.Session == nil {
		s.Session = mux.Spec
	}
	if s.Link == nil {
		s.Link = RawLink
	}
	if s.Break == nil {
		s.Break = breakMemory
	}
	if s.Window == 0 {
		s.Window = 256 << 10
	}
	if s.Slack == 0 {
		s.Slack = 1 << 20
	}
	if s.Streams == 0 {
		s.Streams = 10_000
	}
	return s
}

// Run holds a muxer to the contract.
func Run(t *testing.T, s Subject) {
	s = s.withDefaults()
	for _, group := range []struct {
		name  string
		tests []test
	}{
		{"streams", streamTests}, {"negotiation", negotiationTests}, {"endings", endingTests},
		{"flow", flowTests}, {"faults", faultTests},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, c := range group.tests {
				before := transporttest.Goroutines()
				t.Run(c.name, func(t *testing.T) { c.test(t, s) })
				transporttest.Settle(t, "goroutines", before, transporttest.Goroutines)
			}
		})
	}
}

type test struct {
	name string
	test func(t *testing.T, s Subject)
}

// RawLink is the default of Subject.Link, for those that change something about it.
func RawLink(t testing.TB, rt *actors.Runtime, o LinkOptions) (a, b *messages.Link) {
	return memoryLink(t, rt, memory.Config{Window: o.Window})
}

func muxedLink(t testing.TB, rt *actors.Runtime, o LinkOptions) (a, b *messages.Link) {
	return memoryLink(t, rt, memory.Config{Window: o.Window, MaxStreams: o.MaxStreams, Muxed: true})
}

// memoryLink connects two nodes by the memory transport. What secures bytes hides nothing.
func memoryLink(t testing.TB, rt *actors.Runtime, cfg memory.Config) (a, b *messages.Link) {
	t.Helper()
	cfg.Hub = memory.NewHub()
	if cfg.MaxStreams == 0 {
		cfg.MaxStreams = 2048
	}
	node := func(n byte) *memory.Transport {
		c := cfg
		c.Key = transporttest.Key(n).Public()
		return memory.New(rt, c)
	}
	acc := make(acceptor, 1)
	l, err := node(2).Listen(ma.StringCast("/memory/0"), acc)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	out := make(chan conduit.Conduit, 1)
	node(1).Dial(context.Background(), l.Addr(), "", func(c conduit.Conduit, err error) {
		if err != nil {
			t.Error(err)
		}
		out <- c
	})
	return LinkTo(t, Within(t, "dialling", out), transporttest.Key(2).Public()),
		LinkTo(t, Within(t, "accepting", acc), transporttest.Key(1).Public())
}

type acceptor chan conduit.Conduit

func (a acceptor) Accepted(c conduit.Conduit) { a <- c }
func (acceptor) Failed(error)                 {}
func (acceptor) Degraded(error)               {}

// LinkTo makes a link of a conduit to the owner of a key. Bytes are secured by Open and Seal.
func LinkTo(t testing.TB, c conduit.Conduit, remote identity.PublicKey) *messages.Link {
	t.Helper()
	id, err := identity.IDFromKey(remote)
	if err != nil {
		t.Fatal(err)
	}
	l := &messages.Link{Endpoints: c.Endpoints(), Peer: id, PublicKey: remote, Muxed: c.Muxed}
	if c.Raw != nil {
		l.Secured = conduit.Secured{Raw: c.Raw, Peer: id, PublicKey: remote, Security: "/test", Open: &Opener{}, Seal: Sealer{}}
	}
	return l
}

var errBroken = errors.New("the machine is gone")

func breakMemory(a *messages.Link) {
	if a.Muxed != nil {
		_ = a.Muxed.Close(0, "")
		return
	}
	if c, ok := a.Secured.Raw.(interface{ Break(error) }); ok {
		c.Break(errBroken)
		return
	}
	_ = a.Secured.Raw.Close()
}

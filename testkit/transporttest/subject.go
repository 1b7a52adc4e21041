package transporttest

import (
	"errors"
	"testing"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

// Subject is a transport under test.
type Subject struct {
	// New makes the transport of one node. key is the node's identity, which Muxed transports
	// prove to the remote; others have no use for it. The transports of one Subject must be
	// able to meet. rt owns their goroutines; the test closes it and looks for what is left.
	New func(t testing.TB, rt *actors.Runtime, key identity.PrivateKey) conduit.Transport
	// Listen is an address that lets the transport choose a free one.
	Listen ma.Multiaddr
	// Foreign are addresses that are none of the transport's business. Default: a few that
	// nobody's are.
	Foreign []ma.Multiaddr
	// Refused says that err is a refusal: nobody listens. Default: any error is.
	Refused func(err error) bool
	// WrongPeer says that err names another peer than the one that was wanted. Only Muxed
	// transports are asked. Default: any error does.
	WrongPeer func(err error) bool
	// Break ends a connection as a crash of c's machine would: the remote of a Raw conduit
	// learns of it with an error that is not io.EOF. Required.
	Break func(t testing.TB, c conduit.Conduit)
	// Tune is called with both ends of each connection before they are used, to make the
	// buffers of a socket small. Default: nothing is tuned.
	Tune func(t testing.TB, c conduit.Conduit)
	// Held is the most bytes that may be under way while nobody reads: on a Raw conduit, and on
	// each stream of a Muxed one. Default 16 MiB.
	Held int
	// Writes is how many writes of one byte a Raw conduit takes while nobody reads: a system may count
	// them for more than their bytes. Default 4096.
	Writes int
	// MaxStreams is how many streams one end of a Muxed conduit may have open at a time.
	// Required for those.
	MaxStreams int
	// NoCodes says that the wire of a Muxed conduit has no room for codes: the remote sees 0.
	NoCodes bool
	// Streams is how many short streams a Muxed conduit carries in the test of that name.
	// Default 10,000.
	Streams int
}

func (s Subject) withDefaults(t *testing.T) Subject {
	t.Helper()
	if s.New == nil || s.Listen == nil || s.Break == nil {
		t.Fatal("a Subject needs New, Listen and Break")
	}
	yes := func(error) bool { return true }
	if s.Refused == nil {
		s.Refused = yes
	}
	if s.WrongPeer == nil {
		s.WrongPeer = yes
	}
	if s.Tune == nil {
		s.Tune = func(testing.TB, conduit.Conduit) {}
	}
	if s.Foreign == nil {
		s.Foreign = []ma.Multiaddr{nil, ma.StringCast("/ip4/127.0.0.1"), ma.StringCast("/dns4/localhost/sctp/1")}
	}
	if s.Held == 0 {
		s.Held = 16 << 20
	}
	return s
}

// Run holds a transport to the contracts of package conduit.
func Run(t *testing.T, s Subject) {
	s = s.withDefaults(t)
	muxed := false
	if !t.Run("a connection is of one kind", func(t *testing.T) {
		a, b := s.pair(t)
		muxed = a.Muxed != nil
		for _, c := range []conduit.Conduit{a, b} {
			if (c.Raw != nil) == (c.Muxed != nil) || (c.Muxed != nil) != muxed {
				t.Errorf("Raw: %v, Muxed: %v", c.Raw != nil, c.Muxed != nil)
			}
			c.Abandon()
		}
	}) {
		return
	}
	t.Run("transport", func(t *testing.T) { transport(t, s, muxed) })
	if muxed {
		if s.MaxStreams <= 0 {
			t.Fatal("the Subject of a Muxed transport needs MaxStreams")
		}
		t.Run("muxed", func(t *testing.T) { Muxed(t, s.muxedPair) })
		return
	}
	t.Run("raw", func(t *testing.T) { Raw(t, s.rawPair) })
}

// RunIP is Run on the loopback address of IPv4, and then on that of IPv6: at is what follows them, such
// as "/udp/0/quic-v1".
func RunIP(t *testing.T, s Subject, at string) {
	for _, loopback := range []string{"/ip4/127.0.0.1", "/ip6/::1"} {
		t.Run(loopback[1:4], func(t *testing.T) {
			s.Listen = ma.StringCast(loopback + at)
			Run(t, s)
		})
	}
}

// node makes the transport of the n-th node.
func (s *Subject) node(t testing.TB, rt *actors.Runtime, n byte) conduit.Transport {
	return s.New(t, rt, Key(n))
}

// pair connects the first node to the second.
func (s *Subject) pair(t *testing.T) (a, b conduit.Conduit) {
	t.Helper()
	rt := Runtime(t)
	return s.connect(t, s.node(t, rt, 1), s.node(t, rt, 2))
}

// connect makes a connection from one node to another.
func (s *Subject) connect(t *testing.T, from, to conduit.Transport) (a, b conduit.Conduit) {
	t.Helper()
	a, b, l := Connect(t, from, to, s.Listen)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s.Tune(t, a)
	s.Tune(t, b)
	return a, b
}

func (s *Subject) rawPair(t *testing.T) RawPair {
	a, b := s.pair(t)
	return RawPair{A: a.Raw, B: b.Raw, Held: s.Held, Writes: s.Writes, Break: func() { s.Break(t, a) }}
}

func (s *Subject) muxedPair(t *testing.T) MuxedPair {
	a, b := s.pair(t)
	return MuxedPair{
		A: a.Muxed, B: b.Muxed, KeyA: Key(1).Public(), KeyB: Key(2).Public(), Held: s.Held,
		MaxStreams: s.MaxStreams, NoCodes: s.NoCodes, Streams: s.Streams, Break: func() { s.Break(t, a) },
	}
}

// Key is the identity key of the n-th node: the same each time.
func Key(n byte) identity.PrivateKey {
	k, err := identity.GenerateKey(identity.Ed25519, ones(n))
	if err != nil {
		panic(err)
	}
	return k
}

// ID is what Key(n) proves.
func ID(n byte) identity.ID {
	id, err := identity.IDFromKey(Key(n).Public())
	if err != nil {
		panic(err)
	}
	return id
}

// ones is a random source that is none.
type ones byte

func (o ones) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(o)
	}
	return len(p), nil
}

// isPanic says that err is the kit's account of a panic with value.
func isPanic(err, value error) bool {
	var pe *actors.PanicError
	return errors.As(err, &pe) && errors.Is(err, value)
}

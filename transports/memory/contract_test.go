package memory

import (
	"errors"
	"testing"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

var anyAddr = ma.StringCast("/memory/0")

func foreign() []ma.Multiaddr {
	return []ma.Multiaddr{
		nil, ma.StringCast("/memory/1/memory/2"), ma.StringCast("/ip4/127.0.0.1/tcp/1"), ma.StringCast("/memory/1/ws"),
	}
}

func refused(err error) bool { return errors.Is(err, ErrRefused) }

// subject makes transports that meet in one hub.
func subject(cfg Config) transporttest.Subject {
	cfg.Hub = NewHub()
	return transporttest.Subject{
		New: func(_ testing.TB, rt *actors.Runtime, key identity.PrivateKey) conduit.Transport {
			c := cfg
			c.Key = key.Public()
			return New(rt, c)
		},
		Listen:    anyAddr,
		Foreign:   foreign(),
		Refused:   refused,
		WrongPeer: func(err error) bool { return errors.Is(err, ErrIdentity) },
	}
}

func TestRawKeepsTheContract(t *testing.T) {
	s := subject(Config{})
	s.Held = DefaultWindow + DefaultReadBuffer
	gone := errors.New("the machine is gone")
	s.Break = func(_ testing.TB, c conduit.Conduit) { c.Raw.(*rawEnd).Break(gone) }
	transporttest.Run(t, s)
}

func TestMuxedKeepsTheContract(t *testing.T) {
	s := subject(Config{Muxed: true, MaxStreams: 8, Window: 64 << 10})
	s.Held = 2 * 64 << 10
	s.MaxStreams = 8
	s.Break = func(_ testing.TB, c conduit.Conduit) { _ = c.Muxed.Close(0, "") }
	transporttest.Run(t, s)
}

// key is the public key of peer n.
func key(n byte) identity.PublicKey { return transporttest.Key(n).Public() }

// muxedPair connects peer 1 to peer 2.
func muxedPair(t *testing.T, rt *actors.Runtime, cfg Config) (a, b *muxedEnd) {
	t.Helper()
	cfg.Hub, cfg.Muxed, cfg.Key = NewHub(), true, key(2)
	acc := &transporttest.Acceptor{}
	l, err := New(rt, cfg).Listen(anyAddr, acc)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	cfg.Key = key(1)
	c, err := transporttest.Dial(t.Context(), New(rt, cfg), l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	return c.Muxed.(*muxedEnd), acc.Next(t, 0).Muxed.(*muxedEnd)
}

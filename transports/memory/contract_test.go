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

func TestRawKeepsTheContract(t *testing.T) {
	transporttest.Raw(t, func(t *testing.T) transporttest.RawPair {
		a, b := transporttest.Pair(t, New(transporttest.Runtime(t), Config{}), anyAddr)
		gone := errors.New("the machine is gone")
		return transporttest.RawPair{A: a.Raw, B: b.Raw, Held: DefaultWindow + DefaultReadBuffer,
			Break: func() { a.Raw.(*rawEnd).Break(gone) }}
	})
}

func TestTransportKeepsTheContract(t *testing.T) {
	transporttest.Transport(t, transporttest.Subject{
		New:     func(t *testing.T) conduit.Transport { return New(transporttest.Runtime(t), Config{}) },
		Any:     anyAddr,
		Foreign: foreign(),
		Refused: refused,
	})
}

func TestMuxedTransportKeepsTheContract(t *testing.T) {
	transporttest.Transport(t, transporttest.Subject{
		New: func(t *testing.T) conduit.Transport {
			return New(transporttest.Runtime(t), Config{Muxed: true, Key: key(1)})
		},
		Any:     anyAddr,
		Foreign: foreign(),
		Refused: refused,
	})
}

func TestMuxedKeepsTheContract(t *testing.T) {
	transporttest.Muxed(t, func(t *testing.T) transporttest.MuxedPair {
		a, b := muxedPair(t, transporttest.Runtime(t), Config{MaxStreams: 8, Window: 64 << 10})
		return transporttest.MuxedPair{A: a, B: b, KeyA: key(1), KeyB: key(2), MaxStreams: 8, Held: 2 * 64 << 10}
	})
}

// key is the public key of peer n.
func key(n byte) identity.PublicKey {
	k, err := identity.GenerateKey(identity.Ed25519, ones(n))
	if err != nil {
		panic(err)
	}
	return k.Public()
}

// ones is a random source that is none.
type ones byte

func (o ones) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(o)
	}
	return len(p), nil
}

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

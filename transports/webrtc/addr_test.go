package webrtc

import (
	"errors"
	"testing"

	"github.com/troupe-p2p/troupe/testkit/transporttest"

	ma "github.com/multiformats/go-multiaddr"
)

const (
	hash = "/certhash/uEiDikp5KVUgkLta1EjUN-IKbHk-dUBg8VzKgf5nXxLK46w"
)

func TestAddresses(t *testing.T) {
	tr := New(transporttest.Runtime(t), Config{Key: transporttest.Key(1)})
	for a, want := range map[string]struct{ dial, listen bool }{
		"/ip4/1.2.3.4/udp/1/webrtc-direct":               {true, true},
		"/ip4/1.2.3.4/udp/1/webrtc-direct" + hash:        {true, true},
		"/ip4/1.2.3.4/udp/1/webrtc-direct" + hash + hash: {true, true},
		"/ip6zone/eth0/ip6/fe80::1/udp/1/webrtc-direct":  {true, true},
		"/ip6/::1/udp/1/webrtc-direct" + hash:            {true, true},
		"/ip4/1.2.3.4/udp/1/quic-v1":                     {},
		"/ip4/1.2.3.4/tcp/1/ws":                          {},
		"/ip4/1.2.3.4/udp/1/quic-v1/webtransport" + hash: {},
		"/dns4/localhost/udp/1/webrtc-direct" + hash:     {},
		"/ip4/1.2.3.4/udp/1/webrtc-direct" + hash + "/p2p/QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC": {},
	} {
		m := ma.StringCast(a)
		if d, l := tr.CanDial(m), tr.CanListen(m); d != want.dial || l != want.listen {
			t.Errorf("%s: dial %v, listen %v", a, d, l)
		}
	}
}

// What is wrong with an address to dial is said, and it is nobody else's fault.
func TestAddressesThatSayTooLittle(t *testing.T) {
	tr := New(transporttest.Runtime(t), Config{Key: transporttest.Key(1)})
	for a, want := range map[string]error{
		"/ip4/127.0.0.1/udp/1/webrtc-direct": ErrNoCertHash,
		"/ip4/127.0.0.1/udp/1/quic-v1":       ErrAddress,
	} {
		_, err := transporttest.Dial(t.Context(), tr, ma.StringCast(a))
		var we *Error
		if !errors.Is(err, want) || !errors.As(err, &we) || we.Origin.String() != "local" {
			t.Errorf("%s: %v", a, err)
		}
	}
	if known, others := hashes(ma.StringCast("/ip4/127.0.0.1/udp/1/webrtc-direct" + hash + hash)); len(known) != 2 || others != 0 {
		t.Errorf("%d hashes that can be checked, %d others", len(known), others)
	}
	// A certificate of somebody else cannot be listened with.
	if _, err := tr.Listen(ma.StringCast("/ip4/127.0.0.1/udp/0/webrtc-direct"+hash), &transporttest.Acceptor{}); !errors.Is(err, ErrFingerprint) {
		t.Errorf("it listens with a certificate of others: %v", err)
	}
}

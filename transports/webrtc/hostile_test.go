package webrtc

import (
	"crypto/rand"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/testkit/transporttest"

	"github.com/pion/stun/v4"
)

// listening is a listener with its socket, and a socket of strangers.
func listening(t *testing.T, tune func(*Transport)) (*socket, *net.UDPConn) {
	t.Helper()
	tr := New(transporttest.Runtime(t), testConfig(transporttest.Key(2)))
	tune(tr)
	l, _ := transporttest.Listen(t, tr, anyPort)
	s := l.(*listener).s
	pc, err := net.DialUDP("udp4", nil, s.bound)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	return s, pc
}

func (s *socket) sizes() (paths, recent int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.paths), len(s.recent)
}

// One datagram of a stranger has ended processes of others (CVE-2026-103936): here none costs more than
// an answer.
func TestGarbageCostsNothing(t *testing.T) {
	s, pc := listening(t, same)
	before := transporttest.Goroutines()
	check, err := newCredentials(1).checkMessage(stun.NewTransactionID(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 3000 {
		p := make([]byte, n%1300)
		_, _ = rand.Read(p)
		switch {
		case n%3 == 1: // looks like DTLS
			if len(p) > 0 {
				p[0] = 20 + byte(n%44)
			}
		case n%3 == 2: // looks like a check
			p = append([]byte(nil), check[:n%len(check)]...)
			if len(p) > 20 {
				p[20+n%(len(p)-20)] ^= byte(n)
			}
		}
		if isHello(p) {
			continue
		}
		s.handle(p, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 8), byte(n), 1}), 1))
	}
	_, _ = pc.Write([]byte{1}) // and one the long way
	if paths, recent := s.sizes(); paths != 0 || recent > maxRecent {
		t.Errorf("%d connections, %d addresses are remembered", paths, recent)
	}
	transporttest.Settle(t, "goroutines", before, transporttest.Goroutines)
}

func TestAddressesThatSentChecksAreBounded(t *testing.T) {
	s, _ := listening(t, same)
	for n := range 100 * maxRecent {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), 1)
		s.checked(check{ufrag: "libp2p+webrtc+v1/same", nominate: true}, from)
		if _, recent := s.sizes(); recent > maxRecent || len(s.order) > maxRecent {
			t.Fatalf("%d addresses are remembered", recent)
		}
	}
	if paths, recent := s.sizes(); paths != 0 || recent != maxRecent {
		t.Errorf("%d connections, %d addresses", paths, recent)
	}
}

// hello is enough of a ClientHello to begin a handshake.
var hello = append([]byte{22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 1}, make([]byte, 11)...)

func TestHandshakesUnderWayAreBounded(t *testing.T) {
	s, _ := listening(t, func(t *Transport) { t.cfg.HalfOpen, t.cfg.HandshakeTimeout = DefaultHalfOpen, 2*time.Second })
	most := 0
	for n := range 100 * DefaultHalfOpen {
		s.handle(hello, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1, byte(n >> 8), byte(n)}), 9))
		most = max(most, s.halfOpen.Len())
	}
	if most > DefaultHalfOpen || most < DefaultHalfOpen/2 {
		t.Errorf("%d handshakes were under way", most)
	}
	transporttest.Settle(t, "handshakes under way", 0, s.halfOpen.Len)
	transporttest.Settle(t, "paths", 0, func() int { n, _ := s.sizes(); return n })
}

// A flood from one network does not keep another from connecting.
func TestAFloodOfHandshakesSparesOthers(t *testing.T) {
	rt := transporttest.Runtime(t)
	cfg := testConfig(transporttest.Key(2))
	cfg.HandshakeTimeout = 2 * time.Second
	l, acc := transporttest.Listen(t, New(rt, cfg), anyPort)
	for n := range 1000 {
		l.(*listener).s.handle(hello, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 9, 9, 9}), uint16(n+1)))
	}
	c, err := transporttest.Dial(t.Context(), New(rt, testConfig(transporttest.Key(1))), l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	c.Abandon()
	acc.Next(t, 0).Abandon()
}

func TestDatagramsThatWaitAreBounded(t *testing.T) {
	p := newPath(someone, someone, nil)
	for range 100 * pathQueue / 1200 {
		p.push(make([]byte, 1200))
		if n := p.in.Size(); n > pathQueue {
			t.Fatalf("%d bytes wait", n)
		}
	}
	_ = p.Close()
}

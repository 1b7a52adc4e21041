package quic

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/negotiation/tls"
	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/internal/quicstack"
	"github.com/troupe-p2p/troupe/transports/internal/quicstack/quicstacktest"

	quicgo "github.com/quic-go/quic-go"
)

// A remote that opens streams and resets them costs us what no limit of streams sees.
func TestResetsInAStormEndTheConnection(t *testing.T) {
	a, b := pair(t, same)
	quicstacktest.StormEnds(t, b, func() (sent int) {
		for range 100 * quicstack.ResetBurst {
			qs, err := a.QUIC().OpenStreamSync(t.Context())
			if err != nil {
				break
			}
			if _, err := qs.Write([]byte("!")); err != nil {
				break
			}
			qs.CancelWrite(3)
			qs.CancelRead(3)
			sent++
		}
		return sent
	})
	var ae *quicgo.ApplicationError
	<-a.QUIC().Context().Done()
	if _, err := a.QUIC().OpenStream(); !errors.As(err, &ae) || ae.ErrorCode != quicstack.RateLimited {
		t.Errorf("the remote was told %v", err)
	}
}

// Windows grow while streams are read, as far as all connections together may, and what one has grown by is
// there for others when it ends.
func TestWindowsShareTheirGrowth(t *testing.T) {
	for _, growth := range []int{1, 1 << 20} {
		t.Run(fmt.Sprint(growth), func(t *testing.T) { // each settles before the next counts buffers
			rt, tune := transporttest.Runtime(t), func(c *Config) { c.StreamWindow, c.ConnWindow, c.Growth = 4<<20, 8<<20, growth }
			to := node(rt, 2, tune)
			a, b := transporttest.Ends[*conn](t, node(rt, 1, tune), to, anyPort)
			quicstacktest.GrowthIsShared(t, a, b, to.stack.Grown, growth)
		})
	}
}

// Nothing that comes from nowhere costs more than it costs to send, and who is honest still gets in.
func TestGarbageIsAnsweredWithLessThanItIs(t *testing.T) {
	tr := New(transporttest.Runtime(t), testConfig(transporttest.Key(1)))
	l, acc := transporttest.Listen(t, tr, anyPort)
	long := func(first byte, version string) []byte {
		p := make([]byte, 1200)
		_, _ = rand.Read(p)
		p[0] = first
		copy(p[1:], version+"\x08") // and 8 bytes of a connection ID
		return p
	}
	quicstacktest.AnswersLess(t, l.(*quicstack.Listener).UDP().LocalAddr(), func(yield func([]byte) bool) {
		for range 50 {
			short := make([]byte, 1200)
			_, _ = rand.Read(short)
			short[0] = 0x40
			for _, p := range [][]byte{
				{0}, {0x40}, {0xc0}, short,
				long(0x80, "\x00\x00\x00\x00"), // Version Negotiation, which only clients get
				long(0xc0, "\x0a\x0a\x0a\x0a"), // a version of nobody
				long(0xc0, "\x00\x00\x00\x01"), // Initial
				long(0xd0, "\x00\x00\x00\x01"), // 0-RTT
				long(0xf0, "\x00\x00\x00\x01"), // Retry
			} {
				if !yield(p) {
					return
				}
			}
		}
	})
	c, err := transporttest.Dial(t.Context(), New(transporttest.Runtime(t), testConfig(transporttest.Key(2))), l.Addr())
	if err != nil {
		t.Fatalf("who is honest does not get in: %v", err)
	}
	defer c.Abandon()
	defer acc.Next(t, 0).Abandon()
}

// The multiaddr says quic-v1.
func TestVersionTwoIsNotSpoken(t *testing.T) {
	tr := New(transporttest.Runtime(t), testConfig(transporttest.Key(1)))
	l, _ := transporttest.Listen(t, tr, anyPort)
	pc, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pc.Close() }()
	client := &quicgo.Transport{Conn: pc}
	defer func() { _ = client.Close() }()
	_, err = client.Dial(t.Context(), l.(*quicstack.Listener).UDP().LocalAddr(), tr.handshake("", &tls.Found{}),
		&quicgo.Config{Versions: []quicgo.Version{quicgo.Version2}})
	var other *quicgo.VersionNegotiationError
	if !errors.As(err, &other) || len(other.Theirs) == 0 || slices.Contains(other.Theirs, quicgo.Version2) {
		t.Errorf("err = %v", err)
	}
}

// A node that crashed and is back does not leave its remotes to find out by a timeout.
func TestARestartEndsTheConnectionsOfBefore(t *testing.T) {
	rt := transporttest.Runtime(t)
	patient := func(n byte) *Transport { return node(rt, n, func(c *Config) { c.IdleTimeout = time.Hour }) }
	c, _, l := transporttest.Connect(t, patient(2), patient(1), anyPort)
	defer c.Abandon()
	s := transporttest.NewEndSink()
	c.Muxed.Bind(s)
	<-c.Muxed.(*conn).Confirmed()             // before that it would go on with its handshake, which no reset ends
	_ = l.(*quicstack.Listener).UDP().Close() // says nothing to anybody
	again, err := patient(1).Listen(l.Addr(), &transporttest.Acceptor{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = again.Close() }()
	st, err := c.Muxed.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.TryWrite(make([]byte, 512)); err != nil {
		t.Fatal(err)
	}
	if e := <-s.How; !strings.Contains(e.Err.Error(), "quic: remote: ") || !strings.Contains(e.Err.Error(), "stateless reset") {
		t.Errorf("%+v", e)
	}
}

// Close waits for nobody: not for a remote that is gone, nor for streams that are stuck.
func TestCloseOfAStuckConnectionIsQuick(t *testing.T) {
	a, b := pair(t, same)
	quicstacktest.StuckCloseIsQuick(t, a, b)
}

package webrtc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"

	"github.com/pion/sctp"
	"github.com/pion/stun/v4"
)

// pair is two ends of a connection between the first node and the second.
func pair(t *testing.T, tune func(*Transport)) (dialler, acceptor *conn) {
	t.Helper()
	rt := transporttest.Runtime(t)
	node := func(n byte) *Transport {
		tr := New(rt, testConfig(transporttest.Key(n)))
		tune(tr)
		return tr
	}
	return transporttest.Ends[*conn](t, node(1), node(2), anyPort)
}

func same(*Transport) {}

// lost records how a stream ended, and keeps what is offered.
type lost struct {
	how  chan transporttest.Ending
	got  chan *buf.Buf
	more chan struct{}

	mu      sync.Mutex
	drained bool
}

func newLost() *lost {
	return &lost{how: make(chan transporttest.Ending, 1), got: make(chan *buf.Buf, 1<<10), more: make(chan struct{}, 1)}
}

func (l *lost) Offer(b *buf.Buf) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.drained {
		b.Release()
		return
	}
	l.got <- b
}
func (l *lost) Writable() {
	select {
	case l.more <- struct{}{}:
	default:
	}
}
func (l *lost) RemoteClosed() { close(l.got) }
func (l *lost) Reset(code uint32, remote bool, err error) {
	l.how <- transporttest.Ending{Code: code, Remote: remote, Err: err}
}

// accepting is a sink that binds each stream to a lost.
func accepting(c *conn) (e *transporttest.EndSink, streams chan *stream) {
	e, streams = transporttest.NewEndSink(), make(chan *stream, 1<<12)
	e.OnAccepted = func(s conduit.MuxedStream) { streams <- s.(*stream) }
	c.Bind(e)
	return e, streams
}

func TestAnotherPeerThanTheWantedOneIsNamed(t *testing.T) {
	rt := transporttest.Runtime(t)
	l, _ := transporttest.Listen(t, New(rt, testConfig(transporttest.Key(2))), anyPort)
	_, err := transporttest.DialPeer(t.Context(), New(rt, testConfig(transporttest.Key(1))), l.Addr(), transporttest.ID(3))
	if err == nil || !errors.Is(err, identity.ErrMismatch) || !strings.HasPrefix(err.Error(), "webrtc-direct: remote: dial ") ||
		!strings.Contains(err.Error(), transporttest.ID(2).String()) {
		t.Errorf("err = %v", err)
	}
}

// Who answers has another certificate than the address says: it is not even asked who it is.
func TestAnotherCertificateIsRefused(t *testing.T) {
	rt := transporttest.Runtime(t)
	l, _ := transporttest.Listen(t, New(rt, testConfig(transporttest.Key(2))), anyPort)
	wrong, err := announced(without(l.Addr()), fingerprint{1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = transporttest.Dial(t.Context(), New(rt, testConfig(transporttest.Key(1))), wrong)
	var we *Error
	if !errors.Is(err, ErrFingerprint) || !errors.As(err, &we) || we.Origin != fault.Remote {
		t.Errorf("err = %v", err)
	}
	// One that matches is enough: nodes announce the next certificate beside the present one.
	both, err := announced(wrong, l.(*listener).t.print)
	if err != nil {
		t.Fatal(err)
	}
	c, err := transporttest.Dial(t.Context(), New(rt, testConfig(transporttest.Key(1))), both)
	if err != nil {
		t.Fatal(err)
	}
	c.Abandon()
}

// A certificate of the user's own is announced and shown.
func TestACertificateCanBeGiven(t *testing.T) {
	rt := transporttest.Runtime(t)
	own, err := freshCertificate()
	if err != nil {
		t.Fatal(err)
	}
	cfg := testConfig(transporttest.Key(2))
	cfg.Certificate = &own
	l, acc := transporttest.Listen(t, New(rt, cfg), anyPort)
	if known, _ := hashes(l.Addr()); len(known) != 1 || known[0] != fingerprintOf(own.Certificate[0]) {
		t.Errorf("it listens on %s", l.Addr())
	}
	c, err := transporttest.Dial(t.Context(), New(rt, testConfig(transporttest.Key(1))), l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	c.Abandon()
	acc.Next(t, 0).Abandon()
}

// SCTP refuses writes before the end of the association was told.
func TestWhoWritesIntoTheEndIsToldWhoseItIs(t *testing.T) {
	for range 5 {
		t.Run("", writesIntoTheEnd)
	}
}

func writesIntoTheEnd(t *testing.T) {
	a, b := pair(t, same)
	a.Bind(transporttest.NewEndSink())
	b.Bind(transporttest.NewEndSink())
	st, err := a.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = b.Close(7, "") }()
	for err == nil {
		_, err = st.TryWrite([]byte{0})
	}
	var we *Error
	var ce *CodeError
	if !(errors.As(err, &we) && we.Origin == fault.Remote) && !(errors.As(err, &ce) && ce.Remote) {
		t.Error(err)
	}
}

func TestADialThatIsNotAnsweredNamesTheRemote(t *testing.T) {
	rt := transporttest.Runtime(t)
	dumb, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = dumb.Close() }()
	base, err := fromNet(dumb.LocalAddr().(*net.UDPAddr).AddrPort())
	if err != nil {
		t.Fatal(err)
	}
	to, err := announced(base, fingerprint{})
	if err != nil {
		t.Fatal(err)
	}
	cfg := testConfig(transporttest.Key(1))
	cfg.HandshakeTimeout = 300 * time.Millisecond
	_, err = transporttest.Dial(t.Context(), New(rt, cfg), to)
	var we *Error
	if !errors.As(err, &we) || we.Origin != fault.Remote || !we.Timeout() || !strings.Contains(err.Error(), "no answer") {
		t.Errorf("err = %v", err)
	}
	why := errors.New("another dial won")
	ctx, cancel := context.WithCancelCause(t.Context())
	cfg.HandshakeTimeout = time.Hour
	defer time.AfterFunc(50*time.Millisecond, func() { cancel(why) }).Stop()
	if _, err = transporttest.Dial(ctx, New(rt, cfg), to); !errors.Is(err, context.Canceled) || !errors.Is(err, why) {
		t.Errorf("err = %v", err)
	}
}

func TestWithoutAKeyNothingWorks(t *testing.T) {
	tr := New(transporttest.Runtime(t), Config{})
	transporttest.Joins(t, tr, anyPort, ma.StringCast(anyPort.String()+hash), ErrNoKey, ErrKey)
	if err := New(transporttest.Runtime(t), Config{Version: 3}).Join(conduit.Node{Key: transporttest.Key(1)}); !errors.Is(err, ErrVersion) {
		t.Errorf("it dials with version 3: %v", err)
	}
}

func TestBothVersionsAreUnderstood(t *testing.T) {
	for _, version := range []int{1, 2} {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			a, b := pair(t, func(t *Transport) { t.cfg.Version = version })
			if a.Peer() != transporttest.ID(2) || b.Peer() != transporttest.ID(1) {
				t.Errorf("%s and %s", a.Peer(), b.Peer())
			}
		})
	}
}

func TestASilentRemoteEndsTheConnection(t *testing.T) {
	a, b := pair(t, func(t *Transport) { t.cfg.IdleTimeout = time.Second })
	e := transporttest.NewEndSink()
	b.Bind(e)
	crash(a)
	h := <-e.How
	var we *Error
	if h.Code != 0 || h.Remote || !errors.As(h.Err, &we) || we.Origin != fault.Remote || !we.Timeout() {
		t.Errorf("%+v", h)
	}
}

// An idle connection is kept by the checks of who dialled it.
func TestAnIdleConnectionStays(t *testing.T) {
	a, b := pair(t, func(t *Transport) { t.cfg.IdleTimeout, t.cfg.KeepAlive = 2500*time.Millisecond, time.Second })
	ea, eb := transporttest.NewEndSink(), transporttest.NewEndSink()
	a.Bind(ea)
	b.Bind(eb)
	select { // order-free: either fails the test
	case h := <-ea.How:
		t.Errorf("the dialler's end: %+v", h)
	case h := <-eb.How:
		t.Errorf("the listener's end: %+v", h)
	case <-time.After(4 * time.Second):
	}
}

// A client whose address changes (a NAT forgot it, a phone left the house) nominates its new path: the
// connection moves there.
func TestAConnectionFollowsItsClient(t *testing.T) {
	a, b := pair(t, same)
	a.Bind(transporttest.NewEndSink())
	transporttest.Carry(t, a, b, []byte("before"))
	a.probe() // the listener learns whose path it is
	s := socketOf(b)
	var ufrag string
	transporttest.Settle(t, "unknown ufrags", 0, func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		ufrag = b.path.ufrag
		if ufrag == "" {
			return 1
		}
		return 0
	})
	elsewhere, err := net.DialUDP("udp4", nil, s.bound)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = elsewhere.Close() }()
	who := credentials{server: ufrag, client: ufrag, pass: ufrag}
	m, err := who.checkMessage(stun.NewTransactionID(), 1)
	if err != nil {
		t.Fatal(err)
	}
	before := b.path.addr()
	if _, err := elsewhere.Write(m); err != nil {
		t.Fatal(err)
	}
	there := elsewhere.LocalAddr().(*net.UDPAddr).AddrPort()
	isAt := func(want netip.AddrPort) {
		t.Helper()
		transporttest.Settle(t, "connections elsewhere", 0, func() int {
			if b.path.addr() == want {
				return 0
			}
			return 1
		})
	}
	isAt(there)
	a.probe() // and back again
	isAt(before)
	transporttest.Carry(t, a, b, bytes.Repeat([]byte("after"), 1000))
}

// socketOf is the listener's socket of an accepted connection.
func socketOf(c *conn) *socket {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	return c.t.sockets[0]
}

// The numbers of channels begin again when they are used up, and never come to that of the handshake.
func TestNumbersOfChannelsAreUsedAgain(t *testing.T) {
	a, b := pair(t, same)
	for _, c := range []struct {
		c    *conn
		want []uint16
	}{{a, []uint16{65532, 65534, 2, 4}}, {b, []uint16{65531, 65533, 1, 3}}} {
		c.c.mu.Lock()
		c.c.nextID = c.want[0]
		for _, want := range c.want {
			if id, ok := c.c.freeID(); !ok || id != want {
				t.Errorf("channel %d, want %d", id, want)
			}
		}
		c.c.nextID = c.want[0]
		c.c.mu.Unlock()
	}
}

// libdatachannel uses the number of a channel again when it has seen our reset of it, and resets its own side
// behind the new one's open: js-libp2p would wait for the answer for ever.
func TestAnOpenAheadOfTheResetIsNotLost(t *testing.T) {
	a, b := pair(t, same)
	_, streams := accepting(b)
	st := raw(t, a, 2, openMessage())
	_ = (<-streams).Reset(1)
	p := make([]byte, maxFrame)
	for {
		if _, _, err := st.ReadSCTP(p); err != nil {
			break
		}
	}
	if _, err := st.WriteSCTP(openMessage(), sctp.PayloadTypeWebRTCDCEP); err != nil {
		t.Fatal(err)
	}
	again := mustStream(t, a, 2)
	_ = st.Close()
	s := <-streams
	if s.ID() != 2 {
		t.Errorf("stream %d came", s.ID())
	}
	if n, ppi, err := again.ReadSCTP(p); n != 1 || ppi != sctp.PayloadTypeWebRTCDCEP || err != nil {
		t.Errorf("it is answered by %x, %v", p[:n], err)
	}
	sink := newLost()
	s.Bind(sink, 1)
	send(t, again, appendFrame(nil, frame{data: []byte("!")}))
	(<-sink.got).Release()
}

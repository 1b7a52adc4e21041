// Package quicstacktest holds a transport over package quicstack to what that promises beyond the contract
// of all transports: bounds, ends and what a hostile remote gets. The transports have the connections made,
// since they alone know how, and are tested with what they put on top of it.
package quicstacktest

import (
	"errors"
	"iter"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"
	"github.com/troupe-p2p/troupe/transports/internal/muxed"
	"github.com/troupe-p2p/troupe/transports/internal/quicstack"
)

// UnreadIsBounded fills streams that nobody reads: what is taken is bounded for each, and for all of them
// together. window is that of a stream and of a connection, send what waits to be sent.
func UnreadIsBounded(t *testing.T, from *quicstack.Conn, window, send int) {
	t.Helper()
	const streams = 8
	taken := 0
	for range streams {
		s, err := from.OpenStream()
		if err != nil {
			t.Fatal(err)
		}
		taken += transporttest.NewStreamWriter(s).Fill(t, 100*send)
	}
	if limit := window + streams*(2*send+quicstack.MaxDirect); taken > limit || taken < quicstack.FirstWindow {
		t.Errorf("%d bytes were taken, %d to %d may be", taken, quicstack.FirstWindow, limit)
	}
}

// UnsentIsBounded writes little at a time, which does not wait for a pump each, and yet not without bound in
// the QUIC stack. window is that of a stream.
func UnsentIsBounded(t *testing.T, from *quicstack.Conn, window int) {
	t.Helper()
	s, err := from.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	transporttest.NewStreamWriter(s)
	const most = 2*quicstack.DefaultSendBuffer + quicstack.MaxDirect
	small, taken := make([]byte, 100), 0
	for range 100 * most / len(small) {
		n, err := s.TryWrite(small)
		if err != nil {
			t.Fatal(err)
		}
		if taken += n; n < len(small) {
			break
		}
	}
	if limit := window + most; taken > limit || taken < quicstack.DefaultSendBuffer {
		t.Errorf("%d bytes were taken, %d to %d may be", taken, quicstack.DefaultSendBuffer, limit)
	}
}

// GrowthIsShared has windows grow while a stream is read: together not above most, and not at all if that is
// less than one step. What they have grown by is there for others when the connection ends.
func GrowthIsShared(t *testing.T, from, to conduit.Muxed, grown func() int, most int) {
	t.Helper()
	transporttest.Carry(t, from, to, make([]byte, 32<<20))
	if n := grown(); (n > 0) != (most > 1) || n > most {
		t.Errorf("windows grew by %d, at most %d may be", n, most)
	}
	_ = from.Close(0, "")
	transporttest.Settle(t, "bytes that windows have grown by", 0, grown)
}

// SilenceEnds takes the socket of one end away: the other one finds out, and names its remote.
func SilenceEnds(t *testing.T, silent, other *quicstack.Conn) {
	t.Helper()
	s := transporttest.NewEndSink()
	other.Bind(s)
	_ = silent.UDP().Close()
	e := <-s.How
	who := other.Endpoints().Transport + ": remote: talk to"
	if e.Code != 0 || e.Remote || !strings.Contains(e.Err.Error(), who) || !strings.Contains(e.Err.Error(), "no answer") {
		t.Errorf("%+v", e)
	}
}

// StuckCloseIsQuick closes a connection whose stream is full and whose remote is gone: it waits for neither.
func StuckCloseIsQuick(t *testing.T, from, to *quicstack.Conn) {
	t.Helper()
	s := transporttest.NewEndSink()
	from.Bind(s)
	st, err := from.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	if taken := transporttest.NewStreamWriter(st).Fill(t, 4<<20); taken == 4<<20 {
		t.Fatal("it is not stuck")
	}
	_ = to.UDP().Close()
	began := time.Now()
	_ = from.Close(7, "bye")
	if e := <-s.How; e.Code != 7 || e.Remote || time.Since(began) > time.Second {
		t.Errorf("%+v, after %v", e, time.Since(began))
	}
}

// StormEnds has storm open streams at to and let go of them, more than any limit of streams sees, and says
// what storm does: how many there were.
func StormEnds(t *testing.T, to *quicstack.Conn, storm func() int) {
	t.Helper()
	s := transporttest.NewEndSink()
	s.OnAccepted = func(st conduit.MuxedStream) { transporttest.NewStreamWriter(st) }
	to.Bind(s)
	sent := storm()
	e := <-s.How
	var fe *fault.Error
	if e.Code != quicstack.RateLimited || e.Remote || !errors.Is(e.Err, muxed.ErrResets) || !errors.As(e.Err, &fe) || fe.Origin != fault.Limit {
		t.Errorf("after %d streams: %+v", sent, e)
	}
}

// AnswersLess sends datagrams from nowhere to a socket, and wants fewer bytes back than they were.
func AnswersLess(t *testing.T, to net.Addr, datagrams iter.Seq[[]byte]) {
	t.Helper()
	nc, err := net.DialUDP("udp4", nil, to.(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	out := 0
	for p := range datagrams {
		n, err := nc.Write(p)
		if err != nil {
			t.Fatal(err)
		}
		out += n
	}
	in, p := 0, make([]byte, 2048)
	for {
		_ = nc.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		n, err := nc.Read(p)
		if err != nil {
			break
		}
		in += n
	}
	if in > out {
		t.Errorf("%d bytes came back for %d", in, out)
	}
}

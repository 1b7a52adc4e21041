package troupe_test

import (
	"context"
	"io"
	"net"
	"slices"
	"testing"

	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/protocols/echo"
)

func TestUsageTellsWhatIsInUseOfEachLimit(t *testing.T) {
	n := newNode(t, limited(func(l *troupe.Limits) { *l = troupe.Limits{Conns: 10, HalfOpen: 20, HalfOpenOut: 30, Streams: 40} }))
	register(t, n, echo.Protocol, echo.Handler())
	want := func(what string, conns, halfOpen, dials int64) {
		t.Helper()
		until(t, what, func() bool {
			u := n.Usage()
			return slices.Equal(u[:3], []troupe.Usage{{"Conns", conns, 10}, {"HalfOpen", halfOpen, 20}, {"HalfOpenOut", dials, 30}})
		})
	}
	used := func(limit string) troupe.Usage {
		for _, u := range n.Usage() {
			if u.Limit == limit {
				return u
			}
		}
		t.Fatalf("there is no %s", limit)
		panic("unreachable")
	}
	want("nothing yet", 0, 0, 0)
	if b := used("BufferBytes"); b.Used != 0 || b.Cap != 256<<20 {
		t.Errorf("%+v", b)
	}

	other := newNode(t)
	connect(t, other, n)
	want("a connection", 1, 0, 0)
	before := used("Streams") // of identify, perhaps
	held := heldStream(t, other, n)
	if s := used("Streams"); s.Used < 1 || s.Cap != 40 || before.Cap != 40 {
		t.Errorf("with a stream: %+v, before %+v", s, before)
	}
	_ = held.Reset(0)
	until(t, "no stream is left", func() bool { return used("Streams").Used == 0 })

	at, err := manet.ToNetAddr(n.ListenAddrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	silent, err := net.Dial("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	want("and a handshake", 1, 1, 0)
	_ = silent.Close()
	want("the handshake is over", 1, 0, 0)

	deaf, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(bounded(t))
	gone := make(chan error, 1)
	go func() {
		_, err := n.DialAddr(ctx, "/ip4/127.0.0.1/tcp/"+port(deaf))
		gone <- err
	}()
	c, err := deaf.Accept()
	if err != nil {
		t.Fatal(err)
	}
	want("and a dial", 1, 0, 1)
	cancel()
	<-gone
	want("the dial is over", 1, 0, 0)
	_, _ = io.Copy(io.Discard, c)
	_, _ = c.Close(), deaf.Close()

	if !n.Runtime().Kill(pathOf(t, n, "peers"), "test") {
		t.Fatal("there is no peers")
	}
	want("its connections have gone with the actor that counts them", 0, 0, 0)
	wantConns(t, other, 0)
	until(t, "the listeners, which went with it, are back", func() bool {
		if len(n.ListenAddrs()) == 0 {
			return false
		}
		_, err := other.DialAddr(bounded(t), addr(n))
		return err == nil
	})
	want("another connection", 1, 0, 0)
	if err := n.Close(bounded(t)); err != nil {
		t.Fatal(err)
	}
	want("nothing is left", 0, 0, 0)
}

func port(l net.Listener) string {
	_, p, _ := net.SplitHostPort(l.Addr().String())
	return p
}

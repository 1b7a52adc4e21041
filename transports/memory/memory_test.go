package memory

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

func mustListen(t *testing.T, tr *Transport, a string, sink conduit.AcceptSink) conduit.Listener {
	t.Helper()
	l, err := tr.Listen(ma.StringCast(a), sink)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func dialFor(ctx context.Context, tr *Transport, a ma.Multiaddr, id identity.ID) (conduit.Conduit, error) {
	got := make(chan error, 1)
	var c conduit.Conduit
	tr.Dial(ctx, a, id, func(x conduit.Conduit, err error) { c = x; got <- err })
	err := <-got
	return c, err
}

func TestDialsThatCannotWorkSayWhy(t *testing.T) {
	rt := transporttest.Runtime(t)
	hub := NewHub()
	muxed := New(rt, Config{Hub: hub, Muxed: true, Key: key(2)})
	l := mustListen(t, muxed, "/memory/7", &transporttest.Acceptor{})
	one, err := identity.IDFromKey(key(1))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		cfg    Config
		expect identity.ID
		to     string
		want   error
		text   string
	}{
		{"raw to muxed", Config{Hub: hub}, "", "/memory/7", ErrKind, "memory: remote: dial /memory/7: "},
		{"another peer", Config{Hub: hub, Muxed: true, Key: key(3)}, one, "/memory/7", ErrIdentity, "memory: remote: "},
		{"no key", Config{Hub: hub, Muxed: true}, "", "/memory/7", ErrNoKey, "memory: local: "},
		{"nobody", Config{Hub: hub}, "", "/memory/8", ErrRefused, "memory: remote: dial /memory/8: connection refused"},
		{"another hub", Config{}, "", "/memory/7", ErrRefused, "memory: remote: "},
		{"not memory", Config{}, "", "/ip4/1.2.3.4/tcp/1", ErrAddress, "memory: local: "},
	} {
		_, err := dialFor(t.Context(), New(rt, c.cfg), ma.StringCast(c.to), c.expect)
		if !errors.Is(err, c.want) || !strings.HasPrefix(err.Error(), c.text) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := New(rt, Config{Muxed: true}).Listen(anyAddr, &transporttest.Acceptor{}); !errors.Is(err, ErrNoKey) {
		t.Errorf("a muxed listener without a key: %v", err)
	}
	if _, err := muxed.Listen(l.Addr(), &transporttest.Acceptor{}); !errors.Is(err, ErrInUse) {
		t.Errorf("a second listener: %v", err)
	}
}

func TestTheRightPeerIsReached(t *testing.T) {
	rt := transporttest.Runtime(t)
	hub := NewHub()
	acc := &transporttest.Acceptor{}
	l := mustListen(t, New(rt, Config{Hub: hub, Muxed: true, Key: key(2)}), "/memory/7", acc)
	two, err := identity.IDFromKey(key(2))
	if err != nil {
		t.Fatal(err)
	}
	c, err := dialFor(t.Context(), New(rt, Config{Hub: hub, Muxed: true, Key: key(1)}), l.Addr(), two)
	if err != nil {
		t.Fatal(err)
	}
	if c.Muxed.Peer() != two {
		t.Errorf("reached %s", c.Muxed.Peer())
	}
	c.Abandon()
	acc.Next(t, 0).Abandon()
}

func TestFreeAddressesSkipThoseTaken(t *testing.T) {
	tr := New(transporttest.Runtime(t), Config{})
	mustListen(t, tr, "/memory/1", &transporttest.Acceptor{})
	if l := mustListen(t, tr, "/memory/0", &transporttest.Acceptor{}); l.Addr().String() != "/memory/2" {
		t.Errorf("got %s", l.Addr())
	}
	mustListen(t, tr, "/memory/18446744073709551615", &transporttest.Acceptor{})
}

// TestAListenerHoldsABoundedBacklog floods a listener whose steps nobody runs.
func TestAListenerHoldsABoundedBacklog(t *testing.T) {
	rt := transporttest.Runtime(t)
	hub := NewHub()
	var stuck []func()
	slow := New(rt, Config{Hub: hub, Executor: Posted(rt, func(f func()) { stuck = append(stuck, f) })})
	acc := &transporttest.Acceptor{}
	l := mustListen(t, slow, "/memory/7", acc)
	dialler := New(rt, Config{Hub: hub})
	full := 0
	for range 100 + maxBacklog {
		c, err := dialFor(t.Context(), dialler, l.Addr(), "")
		if errors.Is(err, ErrBacklog) {
			full++
		} else if err != nil {
			t.Fatal(err)
		}
		c.Abandon()
	}
	if full != 100 || len(l.(*listener).waiting) != maxBacklog {
		t.Errorf("%d refused, %d waiting", full, len(l.(*listener).waiting))
	}
	_ = l.Close()
	for len(stuck) > 0 {
		f := stuck[0]
		stuck = stuck[1:]
		f()
	}
	if n, _, _ := acc.Counts(); n > 0 {
		t.Errorf("%d connections were handed over after Close", n)
	}
}

func TestCloseReadTellsItsCode(t *testing.T) {
	a, b := muxedPair(t, transporttest.Runtime(t), Config{})
	defer func() { _ = a.Close(0, "") }()
	m := &transporttest.MuxedSink{}
	b.Bind(m)
	s, err := a.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Next(t, 0).CloseRead(0x77); err != nil {
		t.Fatal(err)
	}
	_, err = s.TryWrite([]byte("x"))
	var ce *CodeError
	if !errors.As(err, &ce) || ce.Code != 0x77 || !ce.Remote || err.Error() != "memory: remote: reading stopped, code 0x77" {
		t.Errorf("err = %v", err)
	}
}

func TestCloseTellsItsReason(t *testing.T) {
	a, b := muxedPair(t, transporttest.Runtime(t), Config{})
	_ = a.Close(0x10, "going home")
	for end, want := range map[*muxedEnd]string{
		a: "memory: local: conduit closed, code 0x10: going home",
		b: "memory: remote: conduit closed, code 0x10: going home",
	} {
		if _, err := end.OpenStream(); err == nil || err.Error() != want {
			t.Errorf("err = %v, want %s", err, want)
		}
	}
}

func TestBoundsSayWhatTheyStop(t *testing.T) {
	for _, b := range Bounds() {
		if b.Name == "" || b.Cap <= 0 || b.Attack == "" {
			t.Errorf("%+v", b)
		}
	}
}

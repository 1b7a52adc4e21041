package troupe_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/protocols/echo"
	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

var errBanned = errors.New("it is on the list")

// gater makes a Gater of which one hook, or several by a comma, does what f says.
func gater(hooks string, f func(context.Context) error) func(*troupe.Config) {
	var g troupe.Gater
	for _, hook := range strings.Split(hooks, ",") {
		switch hook {
		case "Dial":
			g.Dial = func(ctx context.Context, _ identity.ID, _ ma.Multiaddr) error { return f(ctx) }
		case "Accept":
			g.Accept = func(ctx context.Context, _ troupe.Endpoints) error { return f(ctx) }
		case "Secured":
			g.Secured = func(ctx context.Context, _ identity.ID, _ troupe.Endpoints) error { return f(ctx) }
		case "Upgraded":
			g.Upgraded = func(ctx context.Context, _ *troupe.Conn) error { return f(ctx) }
		}
	}
	return func(c *troupe.Config) { c.Gater = g }
}

// afterwards lets n calls through.
func afterwards(n int64, err error) func(context.Context) error {
	var calls atomic.Int64
	return func(context.Context) error {
		if calls.Add(1) > n {
			return err
		}
		return nil
	}
}

func wantGated(t *testing.T, err error, hook string) *troupe.GatedError {
	t.Helper()
	var g *troupe.GatedError
	if !errors.As(err, &g) || g.Hook != hook {
		t.Fatalf("%v is no refusal by Gater.%s", err, hook)
	}
	if !strings.Contains(err.Error(), "Gater."+hook) {
		t.Fatalf("%q does not name Gater.%s", err, hook)
	}
	return g
}

// TestEachHookRefusesTheOneThatIsTooMany: two are let through, and the third is refused, with the hook's
// own error and the name of whom it was about.
func TestEachHookRefusesTheOneThatIsTooMany(t *testing.T) {
	const most = 2
	for _, hook := range []string{"Dial", "Secured", "Upgraded"} {
		t.Run("outbound "+hook, func(t *testing.T) {
			n := newNode(t, gater(hook, afterwards(most, errBanned)))
			for range most {
				connect(t, n, newNode(t))
			}
			other := newNode(t)
			_, err := n.DialAddr(bounded(t), addr(other))
			e := wantError(t, err, troupe.ErrGated)
			g := wantGated(t, err, hook)
			if !errors.Is(err, errBanned) || e.Origin != troupe.OriginLocal || g.Direction != conduit.Outbound || g.Peer != other.ID() {
				t.Errorf("%v: %+v", err, g)
			}
			if !strings.Contains(err.Error(), other.ID().String()) || !strings.Contains(err.Error(), other.ListenAddrs()[0].String()) {
				t.Errorf("%v does not say whom", err)
			}
			wantConns(t, n, most)
			// To whoever answers, and for a stream.
			_, err = n.Dial(bounded(t), "", other.ListenAddrs()[0])
			wantError(t, err, troupe.ErrGated)
			_, err = n.OpenWith(bounded(t), other.ID(), troupe.OpenOptions{Addrs: other.ListenAddrs()}, echo.Protocol)
			if hook == "Dial" { // the others have touched the address: it waits
				wantError(t, err, troupe.ErrGated)
			}
			wantGated(t, err, hook)
		})
	}
	for _, hook := range []string{"Accept", "Secured", "Upgraded"} {
		t.Run("inbound "+hook, func(t *testing.T) {
			n := newNode(t, gater(hook, afterwards(most, errBanned)))
			events := n.Subscribe(t.Context(), 0)
			for i := range most {
				connect(t, newNode(t), n)
				wantConns(t, n, i+1)
			}
			late := newNode(t)
			_, _ = late.DialAddr(bounded(t), addr(n))
			e := next(t, events, troupe.EventRefused)
			g := wantGated(t, e.Err, hook)
			if !errors.Is(e.Err, errBanned) || g.Direction != conduit.Inbound || len(e.Addrs) != 1 || !e.Addrs[0].Equal(g.Addr) {
				t.Errorf("%+v: %+v", e, g)
			}
			if want := late.ID(); hook != "Accept" && (e.Peer != want || g.Peer != want) {
				t.Errorf("it is about %q, want %s", e.Peer, want)
			}
			wantConns(t, late, 0)
			wantConns(t, n, most)
			wantSlots(t, n, 0)
		})
	}
}

// TestAcceptIsAskedBeforeAnyByte: whoever is refused there has not learnt what speaks.
func TestAcceptIsAskedBeforeAnyByte(t *testing.T) {
	n := newNode(t, gater("Accept", afterwards(0, errBanned)))
	c, err := net.Dial("tcp", hostPort(n))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_, _ = c.Write([]byte("\x13/multistream/1.0.0\n\x07/noise\n"))
	wantTurnedAway(t, c)
}

// TestARefusalAtTheEndIsTold: the connection was there already for its remote.
func TestARefusalAtTheEndIsTold(t *testing.T) {
	n := newNode(t, gater("Upgraded", afterwards(0, errBanned)))
	other := newNode(t)
	events := other.Subscribe(t.Context(), 0)
	connect(t, other, n)
	if e := next(t, events, troupe.EventDisconnected); e.Code != 0x1007 || !e.Remote {
		t.Errorf("it ended with %#x, remote %v: %v", e.Code, e.Remote, e.Err)
	}
}

// TestHooksOfTransportsWithTheirOwnSecurity: they are asked all the same.
func TestHooksOfTransportsWithTheirOwnSecurity(t *testing.T) {
	hub := troupe.NewMemoryHub()
	node := func(edit ...func(*troupe.Config)) *troupe.System {
		k, _ := newKey(t)
		cfg := troupe.Config{Key: k, Listen: []string{"/memory/0"}, Transports: []troupe.Transport{troupe.MemoryMuxed(hub)}}
		for _, f := range edit {
			f(&cfg)
		}
		n, err := troupe.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := n.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
		return n
	}
	for _, hook := range []string{"Accept", "Secured", "Upgraded"} {
		n := node(gater(hook, afterwards(1, errBanned)))
		events := n.Subscribe(t.Context(), 0)
		connect(t, node(), n)
		wantConns(t, n, 1)
		_, _ = node().DialAddr(bounded(t), addr(n))
		if g := wantGated(t, next(t, events, troupe.EventRefused).Err, hook); g.Peer == "" {
			t.Errorf("%+v", g)
		}
		wantConns(t, n, 1)
	}
	for _, hook := range []string{"Dial", "Secured", "Upgraded"} {
		n := node(gater(hook, afterwards(1, errBanned)))
		connect(t, n, node())
		_, err := n.DialAddr(bounded(t), addr(node()))
		wantError(t, err, troupe.ErrGated)
		wantGated(t, err, hook)
	}
}

// TestAHookThatPanicsRefuses, and nothing else of the node notices.
func TestAHookThatPanicsRefuses(t *testing.T) {
	explode := func(context.Context) error { panic("no such list") }
	for _, hook := range []string{"Dial", "Secured", "Upgraded"} {
		n := newNode(t, gater(hook, explode))
		events := n.Subscribe(t.Context(), 0)
		_, err := n.DialAddr(bounded(t), addr(newNode(t)))
		wantError(t, err, troupe.ErrGated)
		wantGated(t, err, hook)
		var p *actors.PanicError
		if !errors.As(err, &p) || p.Value != "no such list" {
			t.Errorf("%s: %v does not tell of the panic", hook, err)
		}
		next(t, events, troupe.EventPanic)
	}
	for _, hook := range []string{"Accept", "Secured", "Upgraded"} {
		n := newNode(t, gater(hook, explode))
		events := n.Subscribe(t.Context(), 0)
		_, _ = newNode(t).DialAddr(bounded(t), addr(n))
		var p *actors.PanicError
		if e := next(t, events, troupe.EventRefused); !errors.As(e.Err, &p) {
			t.Errorf("%s: %v does not tell of the panic", hook, e.Err)
		}
		wantConns(t, n, 0)
		wantSlots(t, n, 0)
	}
}

// TestAHookThatHangsHoldsUpNobodyElse: its one connection is given up in time, and the node goes on
// meanwhile. The hook's context ends, so that this one returns and nothing is left.
func TestAHookThatHangsHoldsUpNobodyElse(t *testing.T) {
	for _, hook := range []string{"Accept", "Secured", "Upgraded"} {
		t.Run("inbound "+hook, func(t *testing.T) {
			var first atomic.Bool
			hung := make(chan struct{})
			n := newNode(t, gater(hook, func(ctx context.Context) error {
				if first.CompareAndSwap(false, true) {
					close(hung)
					<-ctx.Done()
				}
				return nil
			}), func(c *troupe.Config) { c.UpgradeTimeout = time.Second })
			register(t, n, echo.Protocol, echo.Handler())
			events := n.Subscribe(t.Context(), 0)
			stuck := newNode(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			over := make(chan struct{})
			go func() {
				_, _ = stuck.DialAddr(ctx, addr(n))
				close(over)
			}()
			<-hung
			for range 3 { // nobody waits for it
				other := newNode(t)
				connect(t, other, n)
				if err := echoes(bounded(t), other, n, "hello"); err != nil {
					t.Fatal(err)
				}
			}
			e := next(t, events, troupe.EventRefused)
			if wantGated(t, e.Err, hook); !errors.Is(e.Err, messages.ErrHung) {
				t.Errorf("%v does not say that it hung", e.Err)
			}
			cancel()
			<-over
		})
	}
	for _, hook := range []string{"Dial", "Secured", "Upgraded"} {
		t.Run("outbound "+hook, func(t *testing.T) {
			n := newNode(t, gater(hook, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }),
				func(c *troupe.Config) { c.DialTimeout = time.Second })
			other := newNode(t)
			_, err := n.DialAddr(bounded(t), addr(other))
			wantError(t, err, troupe.ErrGated)
			if wantGated(t, err, hook); !errors.Is(err, messages.ErrHung) {
				t.Errorf("%v does not say that it hung", err)
			}
			connect(t, other, newNode(t))
		})
	}
}

// TestAHookThatNeverReturnsIsListed: nothing can end its goroutine, and so the tree and Close name it. There
// are no more of them than a few for each handshake that may be under way.
func TestAHookThatNeverReturnsIsListed(t *testing.T) {
	release := make(chan struct{})
	n, err := troupe.New(troupe.Config{
		Listen: []string{"/ip4/127.0.0.1/tcp/0"}, UpgradeTimeout: 100 * time.Millisecond,
		Limits: troupe.Limits{HalfOpen: 7, HalfOpenOut: 1},
		Gater:  troupe.Gater{Accept: func(context.Context, troupe.Endpoints) error { <-release; return nil }},
	})
	if err != nil {
		t.Fatal(err)
	}
	events := n.Subscribe(t.Context(), 4096)
	const most = 2 * (7 + 1)
	hung := func() int { return len(n.Tree().Strays) }
	at := hostPort(n)
	until(t, "as many as there may be", func() bool {
		c, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return hung() >= most
	})
	for {
		e := next(t, events, troupe.EventRefused)
		if strings.Contains(e.Err.Error(), "limit: 16 calls of Config.Gater") {
			break
		}
		if c, err := net.Dial("tcp", at); err == nil {
			t.Cleanup(func() { _ = c.Close() })
		}
	}
	if got := hung(); got > most {
		t.Errorf("%d hooks hang, at most %d may", got, most)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	var left *troupe.StragglersError
	if err := n.Close(ctx); !errors.Is(err, troupe.ErrStragglers) || !errors.As(err, &left) || !strings.Contains(left.Paths[0], "gater Accept") {
		t.Errorf("%v does not name the hooks", err)
	}
	close(release)
	if err := n.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// TestWhatAHookLetsThroughIsAConnection: every hook is asked once, in order.
func TestWhatAHookLetsThroughIsAConnection(t *testing.T) {
	for _, security := range []troupe.Security{troupe.Noise, troupe.TLS} {
		for _, late := range []bool{false, true} {
			var asked atomic.Int64
			order := func(context.Context) error { asked.Add(1); return nil }
			all := gater("Dial,Accept,Secured,Upgraded", order)
			edit := func(c *troupe.Config) {
				all(c)
				c.Security, c.NoEarlyMuxer = []troupe.Security{security}, late
			}
			a, b := newNode(t, edit), newNode(t, edit)
			register(t, b, echo.Protocol, echo.Handler())
			connect(t, a, b)
			if err := echoes(bounded(t), a, b, "hello"); err != nil {
				t.Fatal(err)
			}
			if got := asked.Load(); got != 6 {
				t.Errorf("%s, early muxer %v: %d hooks were asked, want 6", security, !late, got)
			}
		}
	}
}

func hostPort(n *troupe.System) string {
	_, port, _ := strings.Cut(n.ListenAddrs()[0].String(), "/tcp/")
	return "127.0.0.1:" + port
}

// wantTurnedAway demands that the node hangs up without a byte.
func wantTurnedAway(t *testing.T, c net.Conn) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	got, err := c.Read(make([]byte, 1))
	var late net.Error
	if got != 0 || err == nil || errors.As(err, &late) && late.Timeout() {
		t.Fatalf("%d bytes, %v: want the end without a byte", got, err)
	}
}

// wantSlots waits until n has so many half-open connections.
func wantSlots(t *testing.T, n *troupe.System, want int) {
	t.Helper()
	until(t, "slots", func() bool {
		gate, _ := find(n.Tree().Roots, ofKind("gate"))
		return len(gate.Children) == want
	})
}

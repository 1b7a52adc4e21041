package troupe_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/negotiation"
	"github.com/troupe-p2p/troupe/negotiation/admission"
	"github.com/troupe-p2p/troupe/protocols/echo"

	ma "github.com/multiformats/go-multiaddr"
)

// Linux lets everybody be any of 127.0.0.0/8, so that one machine is many hosts. Nobody is exempt here.

func fromAnywhere(edit func(*troupe.Limits)) func(*troupe.Config) {
	return limited(func(l *troupe.Limits) {
		l.Exempt = []netip.Prefix{}
		l.ConnsPerPrefix, l.NewConnsPerPrefix = 1000, 1000
		edit(l)
	})
}

// call connects to n from a host of one's choice, and says nothing.
func call(t *testing.T, n *troupe.System, from string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
	c, err := d.Dial("tcp", hostPort(n))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// relayFrom is an address behind which every connection comes to n from another host.
func relayFrom(t *testing.T, n *troupe.System, host string) ma.Multiaddr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var open sync.Map
	t.Cleanup(func() {
		_ = l.Close()
		open.Range(func(c, _ any) bool { _ = c.(net.Conn).Close(); return true })
		all.Wait()
	})
	pump := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		_ = to.Close()
		_ = from.Close()
	}
	all.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(host)}}
			out, err := d.Dial("tcp", hostPort(n))
			if err != nil {
				_ = in.Close()
				continue
			}
			open.Store(in, nil)
			open.Store(out, nil)
			all.Go(func() { pump(out, in) })
			all.Go(func() { pump(in, out) })
		}
	})
	return tcpAddr(t, l.Addr())
}

func dialThrough(t *testing.T, from, to *troupe.System, at ma.Multiaddr) error {
	t.Helper()
	_, err := from.Dial(bounded(t), to.ID(), at)
	return err
}

// wantPrefixRefusal demands the event that names the limit and who holds it.
func wantPrefixRefusal(t *testing.T, e troupe.Event, limit, host string, height int) {
	t.Helper()
	var why *admission.PrefixError
	if !errors.As(e.Err, &why) || why.Limit != limit || why.Cap != height || why.Source.String() != host+"/32" {
		t.Fatalf("%v, want %s of %s at %d", e.Err, limit, host, height)
	}
	if text := e.Err.Error(); !strings.Contains(text, "Limits."+limit) || !strings.Contains(text, host) {
		t.Fatalf("%q names neither Limits.%s nor %s", text, limit, host)
	}
	if len(e.Addrs) != 1 || !strings.Contains(e.Addrs[0].String(), host) {
		t.Fatalf("the event is about %v, want %s", e.Addrs, host)
	}
}

func TestLimitConnsPerPrefix(t *testing.T) {
	const most = 3
	n := newNode(t, fromAnywhere(func(l *troupe.Limits) { l.ConnsPerPrefix = most }))
	register(t, n, echo.Protocol, echo.Handler())
	events := n.Subscribe(t.Context(), 0)

	// Half-open and established ones count together.
	const host = "127.1.2.3"
	at := relayFrom(t, n, host)
	honest := newNode(t)
	if err := dialThrough(t, honest, n, at); err != nil {
		t.Fatal(err)
	}
	wantConns(t, n, 1)
	wantSlots(t, n, 0)
	var silent []net.Conn
	for i := range most - 1 {
		silent = append(silent, call(t, n, host))
		wantSlots(t, n, i+1)
	}
	wantTurnedAway(t, call(t, n, host))
	wantPrefixRefusal(t, next(t, events, troupe.EventRefused), "ConnsPerPrefix", host, most)
	if err := dialThrough(t, newNode(t), n, at); err == nil {
		t.Fatal("one more came in from a prefix that is full")
	}
	if err := echoes(bounded(t), honest, n, "those inside are not concerned"); err != nil {
		t.Fatal(err)
	}

	// Others are not concerned, for each has as much.
	other := call(t, n, "127.1.2.4")
	wantSlots(t, n, most)
	_ = other.Close()
	connect(t, newNode(t), n)

	// What ends gives its place back: half-open,
	_ = silent[0].Close()
	wantSlots(t, n, most-2)
	again := newNode(t)
	if err := dialThrough(t, again, n, at); err != nil {
		t.Fatal(err)
	}
	wantTurnedAway(t, call(t, n, host))
	// and established.
	wantConns(t, n, 3)
	again.Disconnect(n.ID())
	wantConns(t, n, 2)
	if err := dialThrough(t, newNode(t), n, at); err != nil {
		t.Fatal(err)
	}
	wantTurnedAway(t, call(t, n, host))
}

func TestLimitNewConnsPerPrefix(t *testing.T) {
	const most = 2
	n := newNode(t, fromAnywhere(func(l *troupe.Limits) { l.NewConnsPerPrefix = most }))
	events := n.Subscribe(t.Context(), 0)
	for try := byte(1); ; try++ {
		host := netip.AddrFrom4([4]byte{127, 2, 2, try}).String()
		began := time.Now()
		for range most {
			_ = call(t, n, host).Close()
		}
		late := call(t, n, host)
		if took := time.Since(began); took > time.Second/most/2 && try < 100 {
			continue // the machine was so busy that there may have been a second's part for it
		}
		wantTurnedAway(t, late)
		wantPrefixRefusal(t, next(t, events, troupe.EventRefused), "NewConnsPerPrefix", host, most)
		call(t, n, "127.2.3.1")
		wantSlots(t, n, 1)
		break
	}
	// The allowance comes back with time.
	until(t, "one more", func() bool {
		c := call(t, n, "127.2.2.1")
		_ = c.SetReadDeadline(time.Now().Add(patience / 100))
		_, err := c.Read(make([]byte, 1))
		var late net.Error
		return errors.As(err, &late) && late.Timeout()
	})
}

// TestRefusalsOfAFloodAreFewEvents: a flood is one number a second, not an event each.
func TestRefusalsOfAFloodAreFewEvents(t *testing.T) {
	const flood = 300
	n := newNode(t, fromAnywhere(func(l *troupe.Limits) { l.ConnsPerPrefix = 1 }))
	events := n.Subscribe(t.Context(), flood)
	call(t, n, "127.3.0.1")
	wantSlots(t, n, 1)
	for range flood {
		c := call(t, n, "127.3.0.1")
		wantTurnedAway(t, c)
		_ = c.Close()
	}
	told, counted := 0, uint64(0)
	began := time.Now()
	for uint64(told)+counted < flood {
		e := next(t, events, troupe.EventRefused)
		var more *negotiation.RefusedError
		if errors.As(e.Err, &more) {
			counted += more.N
			var why *admission.PrefixError
			if !errors.As(e.Err, &why) {
				t.Errorf("%v does not say why", e.Err)
			}
		} else {
			told++
		}
	}
	if most := 16 * (2 + int(time.Since(began)/time.Second)); told > most || uint64(told)+counted != flood {
		t.Fatalf("%d told one by one, want at most %d; %d counted; %d in all, want %d", told, most, counted, uint64(told)+counted, flood)
	}
}

// TestExemptByDefault: what tests and local programs do is not held back by default.
func TestExemptByDefault(t *testing.T) {
	n := newNode(t, limited(func(l *troupe.Limits) { l.ConnsPerPrefix, l.NewConnsPerPrefix = 1, 1 }))
	for i := range 5 {
		call(t, n, "127.0.0.1")
		wantSlots(t, n, i+1)
	}
}

// TestLeasesAreGivenBackWhateverDies: a crash of any actor between the listener and the connection
// leaves nothing booked for a connection that is gone.
func TestLeasesAreGivenBackWhateverDies(t *testing.T) {
	const host, most = "127.4.0.1", 2
	for _, kind := range []string{"upgrade", "gate", "peers", "peer", "connection", "listener"} {
		t.Run(kind, func(t *testing.T) {
			n := newNode(t, fromAnywhere(func(l *troupe.Limits) { l.ConnsPerPrefix = most }))
			if err := dialThrough(t, newNode(t), n, relayFrom(t, n, host)); err != nil {
				t.Fatal(err)
			}
			wantConns(t, n, 1)
			half := call(t, n, host)
			wantSlots(t, n, 1)
			wantTurnedAway(t, call(t, n, host))
			at := hostPort(n)
			n.Runtime().Kill(pathOf(t, n, kind), "a test")
			_ = half.Close()
			until(t, "an end of all that was", func() bool {
				cs, err := n.Conns(bounded(t)) // which fails while peers is down
				return kind == "listener" || kind == "gate" || kind == "upgrade" || err == nil && len(cs) == 0
			})
			left := 0
			if kind == "listener" || kind == "gate" || kind == "upgrade" {
				left = 1 // the connection has nothing to do with them
			}
			until(t, "room again", func() bool {
				var in []net.Conn
				defer func() {
					for _, c := range in {
						_ = c.Close()
					}
				}()
				for range most - left {
					d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(host)}, Timeout: patience}
					c, err := d.Dial("tcp", at)
					if err != nil {
						return false
					}
					in = append(in, c)
				}
				for _, c := range in {
					_ = c.SetReadDeadline(time.Now().Add(patience / 200))
					_, err := c.Read(make([]byte, 1))
					var late net.Error
					if !errors.As(err, &late) || !late.Timeout() {
						return false
					}
				}
				return true
			})
		})
	}
}

package admission

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// enter demands that so many of n connections from a host at one moment are let in.
func enter(t *testing.T, p *Prefixes, now time.Time, host string, n, want int, limit string) (in []netip.Prefix) {
	t.Helper()
	for i := range n {
		prefix, err := p.Enter(now, netip.MustParseAddr(host))
		if err == nil {
			in = append(in, prefix)
			continue
		}
		var why *PrefixError
		if !errors.As(err, &why) || why.Limit != limit || why.Source != ip(host) || !strings.Contains(err.Error(), "Limits."+limit) {
			t.Fatalf("connection %d: %v, want a refusal by %s of %v", i, err, limit, ip(host))
		}
		if i < want {
			t.Fatalf("connection %d of %d: %v", i, want, err)
		}
	}
	if len(in) != want {
		t.Fatalf("%d of %d from %s were let in, want %d", len(in), n, host, want)
	}
	return in
}

func TestEachPrefixHasSoManyConnectionsAndNoMore(t *testing.T) {
	const limit = "ConnsPerPrefix"
	p := NewPrefixes(PrefixConfig{Conns: 3, Rate: 1000})
	in := enter(t, p, epoch, "192.0.2.1", 10, 3, limit)
	enter(t, p, epoch, "192.0.2.2", 1, 1, limit) // is somebody else
	enter(t, p, epoch, "::ffff:192.0.2.1", 1, 0, limit)
	// The lower 72 bits of IPv6 are the attacker's to choose.
	enter(t, p, epoch, "2001:db8:0:1::1", 2, 2, limit)
	enter(t, p, epoch, "2001:db8:0:ff::2", 2, 1, limit)
	enter(t, p, epoch, "2001:db8:0:100::2", 1, 1, limit)
	if n := p.Held(ip("192.0.2.1")); n != 3 {
		t.Fatalf("%d held, want 3", n)
	}
	p.Leave(in[0])
	enter(t, p, epoch, "192.0.2.1", 2, 1, limit)
	for range 5 { // more than there are: changes nothing
		p.Leave(in[0])
	}
	p.Leave(ip("198.51.100.1"))
	enter(t, p, epoch, "192.0.2.1", 10, 3, limit)
}

func TestNewConnectionsOfAPrefixAreCountedBySeconds(t *testing.T) {
	const limit = "NewConnsPerPrefix"
	p := NewPrefixes(PrefixConfig{Conns: 1000, Rate: 4})
	now := epoch
	at := func(d time.Duration) time.Time { now = now.Add(d); return now }
	for _, prefix := range enter(t, p, now, "192.0.2.1", 10, 4, limit) {
		p.Leave(prefix) // to go does not help
	}
	enter(t, p, at(249*time.Millisecond), "192.0.2.1", 1, 0, limit)
	enter(t, p, at(time.Millisecond), "192.0.2.1", 2, 1, limit)
	enter(t, p, now, "192.0.2.2", 4, 4, limit)
	enter(t, p, at(500*time.Millisecond), "192.0.2.1", 5, 2, limit)
	enter(t, p, at(time.Hour), "192.0.2.1", 10, 4, limit) // never more than a second's
	enter(t, p, at(-time.Hour), "192.0.2.1", 1, 0, limit) // a clock that goes back gives nothing
}

func TestRefusalForTheNumberCostsNothingOfTheRate(t *testing.T) {
	p := NewPrefixes(PrefixConfig{Conns: 1, Rate: 2})
	in := enter(t, p, epoch, "192.0.2.1", 50, 1, "ConnsPerPrefix")
	p.Leave(in[0])
	in = enter(t, p, epoch, "192.0.2.1", 50, 1, "ConnsPerPrefix")
	p.Leave(in[0])
	enter(t, p, epoch, "192.0.2.1", 1, 0, "NewConnsPerPrefix")
}

func TestTheExemptAreNotCounted(t *testing.T) {
	p := NewPrefixes(PrefixConfig{Conns: 1, Rate: 1, Exempt: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}})
	for _, host := range []string{"127.0.0.1", "127.9.8.7", "::1", "::ffff:127.0.0.1"} {
		for range 5 {
			if prefix, err := p.Enter(epoch, netip.MustParseAddr(host)); err != nil || prefix.IsValid() {
				t.Fatalf("%s: %v, %v", host, prefix, err)
			}
		}
	}
	if prefix, err := p.Enter(epoch, netip.Addr{}); err != nil || prefix.IsValid() {
		t.Fatalf("no address: %v, %v", prefix, err)
	}
	if p.Len() != 0 {
		t.Fatalf("%d are known", p.Len())
	}
	enter(t, p, epoch, "128.0.0.1", 2, 1, "ConnsPerPrefix")
}

func TestNoneAtAllIsNone(t *testing.T) {
	enter(t, NewPrefixes(PrefixConfig{Rate: 1}), epoch, "192.0.2.1", 2, 0, "ConnsPerPrefix")
	p := NewPrefixes(PrefixConfig{Conns: 1})
	enter(t, p, epoch, "192.0.2.1", 2, 0, "NewConnsPerPrefix")
	if p.Len() != 0 {
		t.Fatalf("%d are remembered of those who were never let in", p.Len())
	}
}

func TestPrefixesAreForgottenWhenTheirAllowanceIsBack(t *testing.T) {
	p := NewPrefixes(PrefixConfig{Conns: 1, Rate: 1})
	held := enter(t, p, epoch, "192.0.2.9", 1, 1, "")
	for i := range 10 {
		host := netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}).String()
		p.Leave(enter(t, p, epoch, host, 1, 1, "")[0])
	}
	if p.Len() != 11 || p.Remembered() != 10 {
		t.Fatalf("%d known, %d of them without a connection", p.Len(), p.Remembered())
	}
	enter(t, p, epoch.Add(time.Second), "192.0.2.10", 1, 1, "")
	if p.Len() != 2 || p.Remembered() != 0 || p.Held(held[0]) != 1 {
		t.Fatalf("%d known, %d of them without a connection", p.Len(), p.Remembered())
	}
}

// FuzzPrefixes keeps the books beside the books.
func FuzzPrefixes(f *testing.F) {
	f.Add([]byte("in and out, over and over"))
	f.Fuzz(func(t *testing.T, ops []byte) {
		p := NewPrefixes(PrefixConfig{Conns: 3, Rate: 4})
		held := map[netip.Prefix]int{}
		now := epoch
		for _, op := range ops {
			host := netip.AddrFrom4([4]byte{192, 0, 2, op & 7})
			prefix := ip(host.String())
			if op&8 == 0 {
				if got, err := p.Enter(now, host); err == nil {
					if held[got]++; got != prefix || held[got] > 3 {
						t.Fatalf("%v holds %d", got, held[got])
					}
				}
			} else if held[prefix] > 0 {
				held[prefix]--
				p.Leave(prefix)
			}
			now = now.Add(time.Duration(op>>4) * 50 * time.Millisecond)
			known := 0
			for prefix, n := range held {
				if p.Held(prefix) != n {
					t.Fatalf("%v holds %d, the books say %d", prefix, n, p.Held(prefix))
				}
				if n > 0 {
					known++
				}
			}
			if p.Len() != known+p.Remembered() {
				t.Fatalf("%d known, %d with connections and %d without", p.Len(), known, p.Remembered())
			}
		}
	})
}

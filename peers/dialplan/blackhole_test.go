package dialplan

import (
	"errors"
	"strings"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"
)

var (
	bhUDP4 = ma.StringCast("/ip4/8.8.8.8/udp/4001/quic-v1")
	bhUDP6 = ma.StringCast("/ip6/2606:4700::1/udp/4001/quic-v1")
	bhTCP4 = ma.StringCast("/ip4/8.8.8.8/tcp/4001")
	bhTCP6 = ma.StringCast("/ip6/2606:4700::1/tcp/4001")
	lanUDP = ma.StringCast("/ip4/192.168.1.1/udp/4001/quic-v1")
	lan6   = ma.StringCast("/ip6/fd00::1/tcp/4001")
)

func (b *BlackHoles) times(n int, a ma.Multiaddr, o Outcome) {
	for range n {
		b.Handle(a, o, time.Second)
	}
}

func TestAClassIsClosedWhenAlmostAllOfAHundredDialsFail(t *testing.T) {
	for _, c := range []struct {
		name   string
		play   func(b *BlackHoles)
		closed [holes]bool
	}{
		{"nothing is known", func(*BlackHoles) {}, [holes]bool{}},
		{"99 say nothing yet", func(b *BlackHoles) { b.times(99, bhUDP4, Failed) }, [holes]bool{}},
		{"100 do", func(b *BlackHoles) { b.times(100, bhUDP4, Failed) }, [holes]bool{UDP: true}},
		{"of IPv6", func(b *BlackHoles) { b.times(100, bhTCP6, Failed) }, [holes]bool{IPv6: true}},
		{"of both at once", func(b *BlackHoles) { b.times(100, bhUDP6, Failed) }, [holes]bool{UDP: true, IPv6: true}},
		{"TCP over IPv4 is no class", func(b *BlackHoles) { b.times(1000, bhTCP4, Failed) }, [holes]bool{}},
		{"this network's say nothing", func(b *BlackHoles) { b.times(1000, lanUDP, Failed); b.times(1000, lan6, Failed) }, [holes]bool{}},
		{"4 of 100 are too few", func(b *BlackHoles) { b.times(96, bhUDP4, Failed); b.times(4, bhUDP4, Answered) }, [holes]bool{UDP: true}},
		{"5 of 100 are enough", func(b *BlackHoles) { b.times(95, bhUDP4, Failed); b.times(5, bhUDP4, Answered) }, [holes]bool{}},
		{"but old ones do not count", func(b *BlackHoles) { b.times(5, bhUDP4, Answered); b.times(96, bhUDP4, Failed) }, [holes]bool{UDP: true}},
		{"losers with time to win count", func(b *BlackHoles) { b.times(100, bhUDP4, Lost) }, [holes]bool{UDP: true}},
		{"losers without do not", func(b *BlackHoles) {
			for range 1000 {
				b.Handle(bhUDP4, Lost, loserPatience-1)
			}
		}, [holes]bool{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b BlackHoles
			c.play(&b)
			for class, want := range c.closed {
				if got := b.Closed(Class(class)); got != want {
					t.Errorf("%v closed: %v, want %v", Class(class), got, want)
				}
			}
		})
	}
}

func TestAClosedClassLetsOneInAHundredThrough(t *testing.T) {
	var b BlackHoles
	b.times(100, bhUDP4, Failed)
	for round := range 3 {
		for i := range 99 {
			err := b.Allow(bhUDP4)
			var why *BlackHoleError
			if !errors.As(err, &why) || why.Class != UDP || why.Worked != 0 || why.Last != 100 || why.Next != 98-i {
				t.Fatalf("round %d, attempt %d: %+v", round, i, why)
			}
			if text := err.Error(); !strings.Contains(text, "UDP") || !strings.Contains(text, "local") {
				t.Fatal(text)
			}
		}
		for _, a := range []ma.Multiaddr{bhTCP4, bhTCP6, lanUDP} {
			if err := b.Allow(a); err != nil {
				t.Fatalf("%s: %v", a, err)
			}
		}
		if err := b.Allow(bhUDP4); err != nil {
			t.Fatalf("round %d: nothing is let through to find out: %v", round, err)
		}
		b.Handle(bhUDP4, Failed, time.Second)
	}
	// One that works opens the class, and what was before is forgotten.
	b.Handle(bhUDP4, Answered, time.Second)
	if err := b.Allow(bhUDP4); err != nil || b.Closed(UDP) {
		t.Fatalf("closed: %v", err)
	}
	b.times(98, bhUDP4, Failed)
	if b.Closed(UDP) {
		t.Fatal("closed before a hundred are known again")
	}
	b.times(1, bhUDP4, Failed)
	if !b.Closed(UDP) {
		t.Fatal("one of a hundred is not enough")
	}
}

func TestAnAddressOfTwoClassesNeedsBoth(t *testing.T) {
	var b BlackHoles
	b.times(100, bhTCP6, Failed)
	var why *BlackHoleError
	if err := b.Allow(bhUDP6); !errors.As(err, &why) || why.Class != IPv6 {
		t.Fatal(err)
	}
	if err := b.Allow(bhUDP4); err != nil {
		t.Fatal(err)
	}
}

// TestASkippedAttemptKeepsItsReason, makes way for the next one at once, and is in the error as not tried.
func TestASkippedAttemptKeepsItsReason(t *testing.T) {
	plan, skipped := Rank(epoch, Input{Self: "self", Peer: "peer", Addrs: []ma.Multiaddr{bhUDP4, bhTCP4}})
	d := NewDial(Config{}, epoch, "peer", plan, skipped, false)
	first, ok := d.Next()
	if s, is := first.(Start); !ok || !is || !s.Addr.Equal(bhUDP4) {
		t.Fatalf("%+v", first)
	}
	why := &BlackHoleError{Class: UDP}
	d.HandleSkipped(epoch, 0, why)
	d.HandleSkipped(epoch, 0, errors.New("twice")) // changes nothing
	d.HandleSkipped(epoch, 7, errors.New("nobody"))
	if s, ok := d.Next(); !ok || !s.(Start).Addr.Equal(bhTCP4) {
		t.Fatalf("%+v", s)
	}
	refused := errors.New("connection refused")
	d.HandleFailed(epoch, 1, refused)
	e, _ := d.Next()
	var all *Error
	if !errors.As(e.(Ended).Err, &all) || len(all.Failed) != 1 || len(all.Skipped) != 1 || all.Skipped[0].Err != error(why) || !all.Skipped[0].Addr.Equal(bhUDP4) {
		t.Fatalf("%+v", all)
	}
	if text := all.Error(); !strings.Contains(text, "swallow UDP") || !strings.Contains(text, "connection refused") {
		t.Fatal(text)
	}
}

package dialplan

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/identity"
)

func TestBackoffDoublesToItsMaximum(t *testing.T) {
	var b Backoff
	a := addr(t, tcp4)
	now := epoch
	for i, want := range []int{5, 10, 20, 40, 80, 160, 300, 300, 300} {
		b.Failed(now, nil, alice, a, errRefused)
		until, waits := b.Until(now, alice, a)
		if !waits || until.Sub(now) != time.Duration(want)*time.Second {
			t.Fatalf("after failure %d: %v, want %d s", i+1, until.Sub(now), want)
		}
		if _, waits := b.Until(until, alice, a); waits {
			t.Fatal("still waiting when the time is up")
		}
		now = until
	}
	for range 100 {
		b.Failed(now, nil, alice, a, errRefused)
	}
	if until, _ := b.Until(now, alice, a); until.Sub(now) != backoffMost {
		t.Fatalf("after a hundred more: %v", until.Sub(now))
	}
	now = now.Add(backoffMost + backoffForget + 1)
	b.Failed(now, nil, alice, a, errRefused)
	if until, _ := b.Until(now, alice, a); until.Sub(now) != backoffBase {
		t.Fatalf("after a long time without a failure: %v", until.Sub(now))
	}
}

func TestBackoffIsJittered(t *testing.T) {
	var b Backoff
	r := rand.NewChaCha8([32]byte{1})
	distinct := map[time.Duration]bool{}
	for i := range 1000 {
		p := identity.ID(fmt.Sprint(i))
		b.Failed(epoch, r, p, addr(t, tcp4), errRefused)
		until, _ := b.Until(epoch, p, addr(t, tcp4))
		d := until.Sub(epoch)
		if d < 4*time.Second || d > 6*time.Second {
			t.Fatalf("%v is not within a fifth of 5 s", d)
		}
		distinct[d] = true
	}
	if len(distinct) < 900 {
		t.Fatalf("a thousand peers wait for %d different times", len(distinct))
	}
	b.Failed(epoch, brokenRand{}, alice, addr(t, tcp4), errRefused)
	if until, _ := b.Until(epoch, alice, addr(t, tcp4)); until.Sub(epoch) != backoffBase {
		t.Fatalf("without randomness: %v", until.Sub(epoch))
	}
}

type brokenRand struct{}

func (brokenRand) Read([]byte) (int, error) { return 0, errors.New("local: no randomness") }

func TestSuccessClearsThePeerAndNobodyElse(t *testing.T) {
	var b Backoff
	for _, p := range []identity.ID{alice, bob} {
		for _, a := range []string{tcp4, tcp6} {
			b.Failed(epoch, nil, p, addr(t, a), errRefused)
		}
	}
	b.Worked(alice)
	b.Worked(self)
	if _, waits := b.Until(epoch, alice, addr(t, tcp6)); waits || b.Len() != 2 {
		t.Fatalf("%d remembered", b.Len())
	}
	if _, waits := b.Until(epoch, bob, addr(t, tcp6)); !waits {
		t.Fatal("another peer is forgotten too")
	}
}

func TestBackoffIsBoundedAndForgetsTheOldest(t *testing.T) {
	var b Backoff
	const n = 100 * MaxBackoff
	a := list(t, tcp4, tcp6, quic4, quic6)
	for i := range n {
		b.Failed(epoch, nil, identity.ID(fmt.Sprint(i/4)), a[i%4], errRefused)
	}
	if b.Len() != MaxBackoff || len(b.peers) != MaxBackoff/4 {
		t.Fatalf("%d addresses of %d peers", b.Len(), len(b.peers))
	}
	if _, waits := b.Until(epoch, identity.ID(fmt.Sprint(n/4-1)), a[0]); !waits {
		t.Fatal("the newest is forgotten")
	}
	b.Failed(epoch.Add(time.Hour), nil, alice, a[0], errRefused)
	if b.Len() != 1 {
		t.Fatalf("%d are remembered an hour later", b.Len())
	}
}

func TestNoBackoffHoldsNothingBack(t *testing.T) {
	var none *Backoff
	if err := none.check(epoch, alice, "x"); err != nil {
		t.Fatal(err)
	}
}

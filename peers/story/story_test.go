package story

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/peers/dialplan"

	ma "github.com/multiformats/go-multiaddr"
)

func peer(n int) identity.ID { return identity.ID(fmt.Sprintf("\x00\x04%04d", n)) }

func TestTheLastHappeningsAreRememberedInOrder(t *testing.T) {
	var b Book
	if b.Of(peer(1)) != nil {
		t.Error("something of nobody")
	}
	for i := range 3*Happenings + 5 {
		b.Add(peer(1), Happening{Code: uint32(i)})
		b.Add("", Happening{})
		var got []uint32
		for _, h := range b.Of(peer(1)) {
			got = append(got, h.Code)
		}
		if len(got) != min(i+1, Happenings) || got[len(got)-1] != uint32(i) || !slices.IsSorted(got) {
			t.Fatalf("after %d: %v", i, got)
		}
	}
	if b.Len() != 1 {
		t.Errorf("%d peers", b.Len())
	}
}

func TestThePeerOfWhomNothingWasHeardForLongestIsForgotten(t *testing.T) {
	var b Book
	for i := range Peers {
		b.Add(peer(i), Happening{})
	}
	b.Add(peer(0), Happening{})
	b.Add(peer(Peers), Happening{})
	if b.Len() != Peers || len(b.Of(peer(0))) != 2 || b.Of(peer(1)) != nil || len(b.Of(peer(Peers))) != 1 {
		t.Errorf("%d peers, %d %d %d", b.Len(), len(b.Of(peer(0))), len(b.Of(peer(1))), len(b.Of(peer(Peers))))
	}
}

func TestAHappeningIsALineForPeople(t *testing.T) {
	h := Happening{
		At: time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC), What: "dialled", Err: errors.New("nobody"),
		Tried: []dialplan.Tried{
			{Addr: ma.StringCast("/ip4/1.2.3.4/tcp/5"), Fate: dialplan.DidFail, Err: errors.New("refused")},
			{Addr: ma.StringCast("/ip6/::1/tcp/5"), Fate: dialplan.Stopped},
		},
	}
	const want = "03:04:05.006 dialled: nobody\n    /ip4/1.2.3.4/tcp/5 failed: refused\n    /ip6/::1/tcp/5 stopped"
	if h.String() != want {
		t.Errorf("%s", h)
	}
}

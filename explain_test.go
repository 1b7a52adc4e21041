package troupe_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/peers"
	"github.com/troupe-p2p/troupe/peers/dialplan"
	"github.com/troupe-p2p/troupe/protocols/echo"
)

// TestExplainTellsWhatHasHappenedWithAPeer: an address that refused, one that nobody can dial, the one that
// worked, and the end of the connection.
func TestExplainTellsWhatHasHappenedWithAPeer(t *testing.T) {
	n, other := newNode(t), newNode(t)
	register(t, other, echo.Protocol, echo.Handler())
	closed := newNode(t)
	refuses := closed.ListenAddrs()[0]
	if err := closed.Close(bounded(t)); err != nil {
		t.Fatal(err)
	}
	foreign := multiaddr(t, "/ip4/192.0.2.1/udp/1/quic-v1")
	n.AddAddrs(other.ID(), time.Minute, refuses, foreign)
	if s, err := n.Explain(bounded(t), other.ID()); err != nil || len(s.Happened) > 0 || len(s.Conns) > 0 || s.Peer != other.ID() {
		t.Fatalf("before anything has happened: %v, %v", s, err)
	}
	_, err := n.Dial(bounded(t), other.ID())
	wantError(t, err, troupe.ErrDialFailed)
	s := storyOf(t, n, other)
	if len(s.Happened) != 1 || s.Happened[0].What != peers.Dialled || len(s.Happened[0].Tried) != 2 || len(s.Addrs) != 2 ||
		s.Happened[0].Err == nil {
		t.Fatalf("%s", s)
	}
	fates := map[string]dialplan.Fate{}
	for _, tried := range s.Happened[0].Tried {
		fates[tried.Addr.String()] = tried.Fate
		if tried.Err == nil {
			t.Errorf("%s: no reason", tried.Addr)
		}
	}
	if fates[refuses.String()] != dialplan.DidFail || fates[foreign.String()] != dialplan.LeftOut {
		t.Errorf("%v", fates)
	}

	connect(t, n, other)
	s = storyOf(t, n, other)
	if len(s.Conns) != 1 || !strings.Contains(s.String(), "connected: "+other.ListenAddrs()[0].String()) {
		t.Errorf("%s", s)
	}
	won := false
	for _, h := range s.Happened {
		for _, tried := range h.Tried {
			won = won || tried.Fate == dialplan.Won && tried.Addr.Equal(other.ListenAddrs()[0]) && h.Err == nil
		}
	}
	if !won {
		t.Errorf("nothing won: %s", s)
	}
	until(t, "the end is told", func() bool {
		other.Disconnect(n.ID()) // it may not know of the connection yet
		s = storyOf(t, n, other)
		return slices.ContainsFunc(s.Happened, func(h troupe.Happening) bool {
			return h.What == string(troupe.EventDisconnected) && h.Remote && h.Err != nil
		})
	})
	if err := n.Close(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Explain(bounded(t), other.ID()); !errors.Is(err, troupe.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}

func storyOf(t *testing.T, n, of *troupe.System) troupe.Story {
	t.Helper()
	s, err := n.Explain(bounded(t), of.ID())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

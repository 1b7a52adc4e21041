package troupe_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/peers/limits"
	"github.com/troupe-p2p/troupe/testkit"
)

// TestAFullNodeTakesNewcomersInForTheLeastUseful: in a simulated network a node with room for seven
// inbound connections is called by twenty, one after another. Who is protected, tagged or at work stays;
// the others make room, one for one.
func TestAFullNodeTakesNewcomersInForTheLeastUseful(t *testing.T) {
	const room = 7
	w := testkit.NewWorld(t, 1)
	full := w.NodeWith("full", testkit.NodeOptions{
		Config: troupe.Config{Limits: troupe.Limits{Conns: room + 1}}, Setup: w.Serve,
	})
	guests := w.Nodes("guest", 20, w.Serve)
	events := full.Subscribe(t.Context(), 1000)
	connected := map[string]bool{}
	list := func() []*troupe.Conn {
		cs, err := full.Conns(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return cs
	}
	var working *troupe.StreamRef
	for i, g := range guests {
		g.Connect(full)
		switch i {
		case 0:
			if err := full.Protect(g.ID(), "friend"); err != nil {
				t.Fatal(err)
			}
		case 1:
			if err := full.Tag(g.ID(), "useful", 1); err != nil {
				t.Fatal(err)
			}
		case 2:
			w.Go("open", func() {
				s, err := g.OpenWith(t.Context(), full.ID(), troupe.OpenOptions{Confirm: true}, testkit.EchoProtocol)
				if err != nil {
					t.Error(err)
				}
				working = s
			})
		}
		for range 60 {
			w.Run(time.Second)
			if n := len(list()); n > room {
				t.Fatalf("%d connections, at most %d may be", n, room)
			}
		}
	}
	if working == nil {
		t.Fatal("no stream was opened")
	}
	for _, c := range list() {
		connected[c.Peer.String()] = true
	}
	// Those with a reason to stay, and the last four that came.
	for i, g := range guests {
		if want := i < 3 || i >= len(guests)-(room-3); connected[g.ID().String()] != want {
			t.Errorf("guest %d is connected: %v, want %v", i+1, !want, want)
		}
	}
	var order []int
	for len(order) < len(guests)-room {
		e := next(t, events, troupe.EventDisconnected)
		var why *limits.Eviction
		if !errors.As(e.Err, &why) || e.Code != 0x1005 || e.Remote || why.Limit != "Conns" || why.Cap != room {
			t.Fatalf("%+v", e)
		}
		for i, g := range guests {
			if g.ID() == e.Peer {
				order = append(order, i+1)
			}
		}
	}
	if got, want := fmt.Sprint(order), "[4 5 6 7 8 9 10 11 12 13 14 15 16]"; got != want {
		t.Errorf("closed in the order %s, want %s", got, want)
	}
	// One more than are useful: everybody has a reason to stay.
	for _, c := range list() {
		if err := full.Protect(c.Peer, "all"); err != nil {
			t.Fatal(err)
		}
	}
	w.Node("late", w.Serve).Connect(full)
	w.Run(time.Minute)
	wantRefusal(t, next(t, events, troupe.EventRefused).Err, "Conns", room)
	if n := len(list()); n != room {
		t.Errorf("%d connections, want %d", n, room)
	}
}

// TestTagsAreRefusedBeyondTheirNumber: whoever tags is told, and what.
func TestTagsAreRefusedBeyondTheirNumber(t *testing.T) {
	n := newRealm(t).node()
	who := stranger()
	for i := range limits.MaxTags {
		if err := n.Tag(who, fmt.Sprint(i), 1); err != nil {
			t.Fatal(err)
		}
	}
	if e := wantError(t, n.Tag(who, "one more", 1), troupe.ErrLimit); e.Peer != who || e.Op != "tag" {
		t.Errorf("%+v", e)
	}
	n.Untag(who, "0")
	if err := n.Protect(who, "now there is room"); err != nil {
		t.Fatal(err)
	}
	if !n.Unprotect(who, "another reason") || n.Unprotect(who, "now there is room") {
		t.Error("Unprotect does not count the reasons")
	}
	wantError(t, n.Tag("", "x", 1), troupe.ErrConfig)
	wantError(t, n.Protect("", "x"), troupe.ErrConfig)
}

// TestHooksInASimulatedNetwork: they are asked in virtual time like anybody else.
func TestHooksInASimulatedNetwork(t *testing.T) {
	w := testkit.NewWorld(t, 1)
	var banned identity.ID
	guarded := w.NodeWith("guarded", testkit.NodeOptions{Setup: w.Serve, Config: troupe.Config{
		Gater: troupe.Gater{Secured: func(_ context.Context, peer identity.ID, _ troupe.Endpoints) error {
			if peer == banned {
				return errBanned
			}
			return nil
		}},
	}})
	alice, eve := w.Node("alice", w.Serve), w.Node("eve", w.Serve)
	banned = eve.ID()
	events := guarded.Subscribe(t.Context(), 100)
	alice.Connect(guarded)
	_ = eve.TryConnect(guarded) // for her it is up to the last message whether there was a connection
	w.Run(time.Minute)
	e := next(t, events, troupe.EventRefused)
	if wantGated(t, e.Err, "Secured"); e.Peer != eve.ID() || !errors.Is(e.Err, errBanned) {
		t.Errorf("%+v", e)
	}
	cs, err := guarded.Conns(t.Context())
	if err != nil || len(cs) != 1 || cs[0].Peer != alice.ID() {
		t.Errorf("%v, %v", cs, err)
	}
}

package peers

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/peers/dialplan"
)

// TestBlackHolesAreFoundAndGoneRound: after a hundred dials over UDP that nobody answered, a dial does not
// wait for UDP any more, says why, and a hundred dials later tries it again.
func TestBlackHolesAreFoundAndGoneRound(t *testing.T) {
	const tcp = "/ip4/8.8.4.4/tcp/4001"
	w := newWorld(t)
	udp := func(i int) string { return fmt.Sprintf("/ip4/8.8.8.8/udp/%d/quic-v1", 1000+i) }
	fail := func(i int) {
		t.Helper()
		got, _ := w.dial(person(t), udp(i))
		next(t, "an attempt", w.dials).fails(errRefused)
		next(t, "all have failed", got)
	}
	for i := range dialplan.BlackHoleWindow {
		fail(i)
	}
	bob := person(t)
	got, _ := w.dial(bob, udp(0), tcp)
	a := next(t, "an attempt", w.dials)
	if a.job.Addr.String() != tcp {
		t.Fatalf("%s is tried, want %s", a.job.Addr, tcp)
	}
	a.fails(errRefused)
	var all *dialplan.Error
	var why *dialplan.BlackHoleError
	if err := next(t, "the dial has failed", got).err; !errors.As(err, &all) || !errors.As(err, &why) ||
		why.Class != dialplan.UDP || len(all.Skipped) != 1 || all.Skipped[0].Addr.String() != udp(0) || len(all.Failed) != 1 {
		t.Fatalf("%v", err)
	}
	for range dialplan.BlackHoleWindow - 2 {
		got, _ := w.dial(person(t), udp(0))
		if err := next(t, "there is nothing to try", got).err; !errors.As(err, &why) {
			t.Fatal(err)
		}
	}
	// The next one is a probe, and works.
	eve := person(t)
	got, _ = w.dial(eve, udp(0))
	a = next(t, "a probe", w.dials)
	l, _ := link(eve, 2)
	_ = a.ref.Send(&messages.Dialled{Attempt: a.job.Attempt, Link: l, Answer: messages.Answered})
	if g := next(t, "connected", got); g.err != nil {
		t.Fatal(g.err)
	}
	got, _ = w.dial(bob, udp(1))
	next(t, "UDP is tried again", w.dials).fails(errRefused)
	next(t, "the dial is over", got)
}

// TestOurOwnFaultsAreNoBlackHole: a machine without a route learns nothing of the networks.
func TestOurOwnFaultsAreNoBlackHole(t *testing.T) {
	w := newWorld(t)
	const udp = "/ip4/8.8.8.8/udp/4001/quic-v1"
	for range dialplan.BlackHoleWindow {
		got, _ := w.dial(person(t), udp)
		a := next(t, "an attempt", w.dials)
		_ = a.ref.Send(&messages.Dialled{Attempt: a.job.Attempt, Err: errRefused, Answer: messages.NotAsked})
		next(t, "it has failed", got)
	}
	got, _ := w.dial(person(t), udp)
	next(t, "UDP is tried still", w.dials).fails(errRefused)
	next(t, "the dial is over", got)
}

// TestLosersWithTimeToWinAreFailures: TCP wins every race, so that nobody would ever wait for UDP to fail.
// Losers are stopped, too.
func TestLosersWithTimeToWinAreFailures(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		for range dialplan.BlackHoleWindow {
			bob := person(t)
			got, _ := w.dial(bob, "/ip4/8.8.8.8/udp/4001/quic-v1", "/ip4/8.8.8.8/tcp/4001")
			first := next(t, "UDP first", w.dials)
			second := next(t, "TCP later", w.dials)
			<-time.After(time.Second)
			second.reaches(bob)
			if g := next(t, "connected", got); g.err != nil {
				t.Fatal(g.err)
			}
			next(t, "the loser is stopped", first.end)
			next(t, "a connection", w.sessions)
		}
		<-time.After(time.Second) // the end of the last one is on the books
		bob := person(t)
		got, _ := w.dial(bob, "/ip4/8.8.8.8/udp/4001/quic-v1")
		var why *dialplan.BlackHoleError
		if err := next(t, "the dial is over", got).err; !errors.As(err, &why) || why.Worked != 0 {
			t.Fatal(err)
		}
	})
}

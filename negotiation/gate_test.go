package negotiation_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/negotiation"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/memory"

	ma "github.com/multiformats/go-multiaddr"
)

func raw(t testing.TB, d *door) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", d.host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestANewcomerTakesTheSlotOfWhoIsSilent(t *testing.T) {
	rt := run(t)
	d := newDoor(t, rt, newPerson(t), 1)
	first := raw(t, d)
	until(t, "the first is in", func() bool { return d.children() == 1 })
	out := newProbe(t, rt, "dialler")
	dial(t, rt, newPerson(t), d.addr, d.id, out)
	want[*messages.Upgraded](t, out, "the newcomer is served").Link.Close()
	_ = first.SetReadDeadline(time.Now().Add(patience))
	if _, err := first.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the silent one sees %v", err)
	}
	e := d.event(t, messages.EventRefused, "the eviction is told")
	var evicted *negotiation.EvictedError
	if !errors.As(e.Err, &evicted) || evicted.N != 1 || evicted.Slots != 1 || e.At.IsZero() {
		t.Errorf("told %+v", e)
	}
	if evicted.Held > 0 && !evicted.Source.Contains(netip.MustParseAddr("127.0.0.1")) {
		t.Errorf("held by %v", evicted.Source)
	}
	until(t, "empty", func() bool { return d.children() == 0 })
}

func TestAKilledGateClosesWhatItHeldAndServesOn(t *testing.T) {
	rt := run(t)
	d := newDoor(t, rt, newPerson(t), 0)
	c := raw(t, d)
	until(t, "in", func() bool { return d.children() == 1 })
	if !rt.Kill("gate", "test") {
		t.Fatal("there is no gate")
	}
	_ = c.SetReadDeadline(time.Now().Add(patience))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the remote sees %v", err)
	}
	out := newProbe(t, rt, "dialler")
	dial(t, rt, newPerson(t), d.addr, d.id, out)
	want[*messages.Upgraded](t, out, "served again").Link.Close()
	want[*messages.Arrived](t, d.peers, "and passed on").Link.Close()
}

func TestAKilledUpgradeFreesItsSlot(t *testing.T) {
	rt := run(t)
	d := newDoor(t, rt, newPerson(t), 0)
	c := raw(t, d)
	until(t, "in", func() bool { return d.children() == 1 })
	if !rt.Kill(node(rt, "gate").Children[0].Path, "test") {
		t.Fatal("there is no upgrade")
	}
	_ = c.SetReadDeadline(time.Now().Add(patience))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the remote sees %v", err)
	}
	until(t, "nobody half-open", func() bool {
		for _, kv := range node(rt, "gate").Info {
			if kv.Key == "half open" {
				return kv.Value == "0"
			}
		}
		return false
	})
}

func TestWhatItsTransportHasSecuredPassesAtOnce(t *testing.T) {
	rt := run(t)
	peers := newProbe(t, rt, "peers")
	gate := actors.Cast[messages.Gate](root(t, rt, negotiation.GateSpec(negotiation.GateConfig{
		Upgrade: newPerson(t).cfg, Peers: actors.Cast[messages.Peers](peers.ref), Hub: &actors.Hub[messages.Event]{},
	})))
	here, there := muxed(t, rt)
	if err := gate.Send(&messages.Accepted{Conduit: here}); err != nil {
		t.Fatal(err)
	}
	l := want[*messages.Arrived](t, peers, "no upgrade is needed").Link
	if l.Muxed == nil || l.Peer != l.Muxed.Peer() {
		t.Errorf("passed on as %+v", l)
	}
	l.Close()
	there.Abandon()
}

// muxed makes the two ends of a secured connection.
func muxed(t *testing.T, rt *actors.Runtime) (accepted, dialled conduit.Conduit) {
	t.Helper()
	hub, key := memory.NewHub(), newPerson(t).cfg.Core.Key
	tr := memory.New(rt, memory.Config{Hub: hub, Muxed: true, Key: key})
	in, out := make(chan conduit.Conduit, 1), make(chan conduit.Conduit, 1)
	l, err := tr.Listen(ma.StringCast("/memory/0"), into(in))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	tr.Dial(context.Background(), l.Addr(), "", func(c conduit.Conduit, err error) {
		if err != nil {
			t.Error(err)
		}
		out <- c
	})
	return <-in, <-out
}

type into chan conduit.Conduit

func (i into) Accepted(c conduit.Conduit) { i <- c }
func (i into) Failed(error)               {}
func (i into) Degraded(error)             {}

// TestLinksThatNobodyTakesAreClosed: peers has failed, or has more to do than its mailbox holds.
func TestLinksThatNobodyTakesAreClosed(t *testing.T) {
	t.Run("the mailbox is full", func(t *testing.T) {
		rt := run(t)
		busy, release := make(chan struct{}, 8), make(chan struct{})
		peers := root(t, rt, actors.Spec{Name: "peers", Mailbox: actors.Mailbox{Data: 1}, New: func() actor.Actor {
			return fn(func(ctx actor.Context) {
				if m, ok := ctx.Message().(*messages.Arrived); ok {
					busy <- struct{}{}
					<-release
					m.Link.Close()
				}
			})
		}})
		gate := actors.Cast[messages.Gate](root(t, rt, negotiation.GateSpec(negotiation.GateConfig{
			Upgrade: newPerson(t).cfg, Peers: actors.Cast[messages.Peers](peers), Hub: &actors.Hub[messages.Event]{},
		})))
		var gone []chan struct{}
		for i := range 3 { // one in hand, one in the mailbox, one too many
			here, there := muxed(t, rt)
			w := make(chan struct{})
			gone = append(gone, w)
			there.Muxed.Bind(endOf(w))
			if err := gate.Send(&messages.Accepted{Conduit: here}); err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				<-busy
			}
		}
		select {
		case <-gone[2]:
		case <-time.After(patience):
			t.Error("the link that found no room is open")
		}
		close(release)
		for _, w := range gone[:2] {
			<-w
		}
	})
	t.Run("there is no such actor", func(t *testing.T) {
		rt := run(t)
		gate := actors.Cast[messages.Gate](root(t, rt, negotiation.GateSpec(negotiation.GateConfig{
			Upgrade: newPerson(t).cfg, Hub: &actors.Hub[messages.Event]{},
		})))
		here, there := muxed(t, rt)
		w := make(chan struct{})
		there.Muxed.Bind(endOf(w))
		_ = gate.Send(&messages.Accepted{Conduit: here})
		select {
		case <-w:
		case <-time.After(patience):
			t.Error("the link is open")
		}
	})
	t.Run("who wanted the upgrade has gone", func(t *testing.T) {
		rt := run(t)
		d := newDoor(t, rt, newPerson(t), 0)
		out := newProbe(t, rt, "dialler")
		c, err := connect(rt, d.addr)
		if err != nil {
			t.Fatal(err)
		}
		out.ref.Stop()
		<-out.ref.Done()
		ref := knock(t, rt, newPerson(t), c, d.id, out)
		<-ref.Done()
		l := want[*messages.Arrived](t, d.peers, "the other end is through").Link
		ended := make(chan error, 1)
		l.Secured.Raw.Bind(endedSink{ended}, 1)
		select {
		case <-ended:
		case <-time.After(patience):
			t.Error("the dialler's end is open")
		}
		l.Close()
	})
}

type endOf chan struct{}

func (endOf) Accepted(conduit.MuxedStream) {}
func (endOf) CanOpen()                     {}
func (e endOf) Ended(uint32, bool, error)  { close(e) }

type endedSink struct{ ch chan error }

func (s endedSink) Offer(b *buf.Buf) { b.Release() }
func (s endedSink) Drained(error)    {}
func (s endedSink) Ended(err error)  { s.ch <- err }

// TestWhoWaitsForASlotIsClosedWithTheGate: newcomers that wait for somebody's tenure to end belong
// to nobody else.
func TestWhoWaitsForASlotIsClosedWithTheGate(t *testing.T) {
	const crowd = 200
	for _, end := range []string{"killed", "stopped"} {
		rt := run(t)
		d := newDoor(t, rt, newPerson(t), 2)
		var closed atomic.Int64
		for range crowd {
			_ = d.gate.Send(&messages.Accepted{Conduit: conduit.Conduit{Raw: fake{&closed, d.addr}}})
		}
		if end == "killed" {
			rt.Kill("gate", "test")
		} else {
			d.gate.Stop()
		}
		until(t, end+": all are closed, but those that it still has", func() bool {
			return closed.Load() >= crowd-2 || end == "killed" && closed.Load() > 0 && d.children() > 0
		})
		d.gate.Stop()
		until(t, end+": all are closed", func() bool { return closed.Load() == crowd })
	}
}

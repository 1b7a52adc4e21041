package transports

import (
	"errors"
	"testing"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

const (
	any0 = "/ip4/127.0.0.1/tcp/0"
	port = "/ip4/127.0.0.1/tcp/4001"
)

func TestListeningAnswersWithTheBoundAddress(t *testing.T) {
	l := newLobby(t)
	got := next(t, "answered", l.listen(any0))
	if got.err != nil || got.addr.String() != port {
		t.Fatalf("%v, %v", got.addr, got.err)
	}
	if as := l.addrs(); len(as) != 1 || as[0].String() != port {
		t.Errorf("whoever has the answer finds %v bound", as)
	}
	if e := l.event(messages.EventListening, "told"); e.Addrs[0].String() != port {
		t.Error(e.Addrs)
	}
	if s := l.shown("bound"); s != port {
		t.Errorf("shows %q", s)
	}
	x := newWire()
	next(t, "the adapter listens", l.tr.listens).sink.Accepted(conduit.Conduit{Raw: x})
	if m, ok := next(t, "what it accepts goes to the gate", l.gate).(*messages.Accepted); !ok || m.Conduit.Raw != conduit.Raw(x) {
		t.Errorf("the gate got %v", m)
	}
}

func TestADuplicateOrForeignAddressIsRefused(t *testing.T) {
	l := newLobby(t)
	next(t, "bound", l.listen(any0))
	if got := next(t, "refused", l.listen(any0)); got.err == nil {
		t.Error("bound twice")
	}
	if got := next(t, "refused", l.listen("/ip6/::1/tcp/0")); got.err == nil {
		t.Error("no transport can do that")
	}
	if len(l.tr.listens) != 1 || len(l.addrs()) != 1 {
		t.Error("something was bound all the same")
	}
}

func TestTheFirstFailureIsTheAnswer(t *testing.T) {
	l := newLobby(t)
	l.tr.set(errFault, false)
	if got := next(t, "answered", l.listen(port)); !errors.Is(got.err, errFault) {
		t.Fatal(got.err)
	}
	if e := l.event(messages.EventListenError, "told"); !errors.Is(e.Err, errFault) {
		t.Error(e.Err)
	}
	until(t, "nothing is left of it", func() bool { return len(l.rt.Tree("listeners").Roots[0].Children) == 0 })
	l.tr.set(nil, false)
	if got := next(t, "the address may be asked for again", l.listen(port)); got.err != nil {
		t.Error(got.err)
	}
}

func TestABugWhileBindingIsAnAnswerToo(t *testing.T) {
	l := newLobby(t)
	l.tr.set(nil, true)
	if got := next(t, "answered", l.listen(port)); !errors.Is(got.err, errFirst) {
		t.Fatal(got.err)
	}
	l.tr.set(nil, false)
	if got := next(t, "the address may be asked for again", l.listen(port)); got.err != nil {
		t.Error(got.err)
	}
}

// TestAListenerThatMovesIsToldAndBoundAgainThere: an address may name more than a place.
func TestAListenerThatMovesIsToldAndBoundAgainThere(t *testing.T) {
	const moved = port + "/ws"
	l := newLobby(t)
	next(t, "bound", l.listen(any0))
	l.event(messages.EventListening, "told")
	was := next(t, "listening", l.tr.listens)
	was.sink.(conduit.MovingSink).Moved(ma.StringCast(moved))
	if e := l.event(messages.EventListening, "told again"); e.Addrs[0].String() != moved {
		t.Error(e.Addrs)
	}
	if as := l.addrs(); len(as) != 1 || as[0].String() != moved || l.shown("bound") != moved {
		t.Errorf("%v is bound, and %q is shown", as, l.shown("bound"))
	}
	was.sink.Failed(errFault)
	if again := next(t, "listening again", l.tr.listens); again.asked.String() != moved {
		t.Errorf("asked for %v", again.asked)
	}
	until(t, "bound again", func() bool { return len(l.addrs()) == 1 })
	was.sink.(conduit.MovingSink).Moved(ma.StringCast(port)) // no news any more
	_ = next(t, "refused as a duplicate: it has been handled", l.listen(any0))
	if as := l.addrs(); len(as) != 1 || as[0].String() != moved {
		t.Errorf("%v is bound after a late word of the old listener", as)
	}
}

// TestThePortIsBoundAgain: peers find the node where it was, whatever has failed.
func TestThePortIsBoundAgain(t *testing.T) {
	for _, c := range []struct {
		name string
		fail func(l *lobby, was *playedListener)
	}{
		{"after a failure of the adapter", func(_ *lobby, was *playedListener) { was.sink.Failed(errFault) }},
		{"after a bug in the listener", func(l *lobby, _ *playedListener) { l.kill(true) }},
		{"after a bug in its supervisor", func(l *lobby, _ *playedListener) { l.kill(false) }},
		{"after it could not be bound for a while", func(l *lobby, was *playedListener) {
			l.tr.set(errFault, false)
			was.sink.Failed(errFault)
			for range 3 {
				l.event(messages.EventListenError, "it tries, and says so")
			}
			if len(l.addrs()) > 0 {
				l.t.Error("it says that it is bound")
			}
			l.tr.set(nil, false)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLobby(t)
			next(t, "bound", l.listen(any0))
			was := next(t, "listening", l.tr.listens)
			c.fail(l, was)
			next(t, "the old one is closed", was.closed)
			again := next(t, "listening again", l.tr.listens)
			if again.asked.String() != port {
				t.Errorf("asked for %v", again.asked)
			}
			until(t, "bound again", func() bool { return len(l.addrs()) == 1 && l.addrs()[0].String() == port })
			was.sink.Failed(errFault) // no news any more
			_ = next(t, "refused as a duplicate: it has been handled", l.listen(any0))
			select {
			case <-again.closed:
				t.Error("a late word of the old listener closed the new one")
			default:
			}
		})
	}
}

// TestABindThatIsUnderWayIsNotForgottenHalf: its caller is told that it failed, so it must not
// stay.
func TestABindThatIsUnderWayIsNotForgottenHalf(t *testing.T) {
	s := &slot{want: multiaddr(any0)}
	state := &ListenState{slots: []*slot{s}}
	(&listeners{cfg: ListenersConfig{State: state}}).again(nil) // would spawn what it keeps
	if len(state.slots) != 0 {
		t.Error("the slot is kept")
	}
}

func TestAShortageIsShown(t *testing.T) {
	l := newLobby(t)
	next(t, "bound", l.listen(any0))
	at := next(t, "listening", l.tr.listens)
	at.sink.Degraded(errFault)
	if e := l.event(messages.EventListenError, "told"); !errors.Is(e.Err, errFault) || e.Addrs[0].String() != port {
		t.Errorf("%+v", e)
	}
	if s := l.shown("held back"); s != errFault.Error() {
		t.Errorf("shows %q", s)
	}
	if len(l.addrs()) != 1 {
		t.Error("it is bound all the same")
	}
	at.sink.Accepted(conduit.Conduit{Raw: newWire()})
	until(t, "not shown any more", func() bool { return l.shown("held back") == "" })
}

func TestStoppingClosesWhatIsBound(t *testing.T) {
	l := newLobby(t)
	next(t, "bound", l.listen(any0))
	at := next(t, "listening", l.tr.listens)
	l.ref.Stop()
	next(t, "closed", at.closed)
	x := newWire()
	r, _ := probe(t, l.rt, "none")
	r.Stop()
	<-r.Done()
	(&acceptSink{}).Accepted(conduit.Conduit{Raw: x}) // nobody is there
	next(t, "what nobody takes is closed", x.closed)
}

// TestAListenerThatIsBoundTooLateIsClosed: its actor was abandoned in the adapter's Listen.
func TestAListenerThatIsBoundTooLateIsClosed(t *testing.T) {
	l := newLobby(t)
	l.tr.hangs = make(chan struct{})
	l.listen(any0)
	bound := next(t, "the adapter listens", l.tr.listens)
	abandoned := make(chan actors.Event, 8)
	l.rt.OnEvent(func(e actors.Event) {
		if e.Kind == actors.EventAbandoned {
			abandoned <- e
		}
	})
	l.ref.Stop()
	next(t, "abandonment", abandoned)
	close(l.tr.hangs)
	next(t, "the listener is closed", bound.closed)
}

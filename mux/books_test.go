package mux

import (
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/mux/yamux"
)

// ledger is a raw muxer without a conduit that has a node's memory, and its remote.
type ledger struct {
	t      *testing.T
	now    time.Time
	remote *yamux.Session
	m      *rawMuxer
	budget *actors.Budget
	holder *actors.Holder
	ids    []uint64
}

func newLedger(t *testing.T, memory int64) *ledger {
	l := &ledger{t: t, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), budget: actors.NewBudget("bytes", memory)}
	l.holder = l.budget.Holder("us")
	l.holder.OnLoss(func() {})
	l.remote = yamux.New(yamux.Config{}, yamux.Client, l.now)
	l.m = &rawMuxer{core: yamux.New(yamux.Config{}, yamux.Server, l.now)}
	l.m.windows = newWindows(l.m.core, yamux.Config{}, l.holder)
	return l
}

// take has the muxer read what its remote has to say.
func (l *ledger) take() {
	l.t.Helper()
	for hdr, body, ok := l.remote.NextWrite(); ok; hdr, body, ok = l.remote.NextWrite() {
		for _, p := range [][]byte{hdr, body} {
			if err := l.m.core.HandleBytes(l.now, p); err != nil {
				l.t.Fatal(err)
			}
			for e, ok := l.m.next(l.now); ok; e, ok = l.m.next(l.now) {
				if e.kind == yamux.StreamOpened {
					l.ids = append(l.ids, e.id)
					l.m.accept(l.now, e.id)
				}
			}
		}
	}
	for _, ok := l.remote.Next(); ok; _, ok = l.remote.Next() {
	}
}

// hold has the remote send streams of so many bytes each and end them. Nobody reads any of it.
func (l *ledger) hold(sizes ...int) {
	l.t.Helper()
	for _, n := range sizes {
		id, err := l.remote.OpenStream(l.now)
		if err == nil {
			err = l.remote.Write(l.now, id, make([]byte, n))
		}
		if err == nil {
			l.take()
			err = l.remote.CloseWrite(l.now, id)
		}
		if err != nil {
			l.t.Fatal(err)
		}
		l.take()
	}
	if l.m.short(l.now, 0) {
		l.t.Fatal("there is not memory enough to begin with")
	}
}

func (l *ledger) want(why string, used int64) {
	l.t.Helper()
	if got, _ := l.budget.Used(); got != used {
		l.t.Fatalf("%s: %d bytes in use, want %d", why, got, used)
	}
}

// What streams hold at their end stays on the node's books until the session has booked it: memory
// that is given back in between may be somebody else's by then.
func TestWhatClosedStreamsHoldIsNotGivenBackBeforeItIsBooked(t *testing.T) {
	const window = freeBytes
	l := newLedger(t, 1<<30)
	l.hold(100, window, window)
	all := steps(window + 100)
	l.want("all but what is free", all)
	for _, id := range l.ids {
		if err := l.m.closeWrite(l.now, id); err != nil {
			t.Fatal(err)
		}
	}
	for _, _, ok := l.m.core.NextWrite(); ok; _, _, ok = l.m.core.NextWrite() {
	}
	if n := l.m.core.NumStreams(); n != 0 {
		t.Fatalf("%d streams are left", n)
	}
	closed := 0
	for e, ok := l.m.next(l.now); ok; e, ok = l.m.next(l.now) {
		if e.kind != yamux.StreamClosed {
			continue
		}
		closed++
		l.want("a stream has closed", all)
		l.m.keep(e.n)
		if closed == 1 {
			l.m.keep(-e.n) // it is read at once
		}
		l.want("and is booked", all)
	}
	if closed != 3 {
		t.Fatalf("%d streams have closed", closed)
	}
	l.m.giveBack()
	l.want("what nobody needs goes", steps(window))
	l.m.keep(-2 * window)
	l.m.giveBack()
	l.want("and the rest, when it is read", 0)
}

// Whoever supervises a session may close its account a moment before the session ends. That is no
// reason to blame a limit.
func TestASessionWithoutAnAccountIsNotShort(t *testing.T) {
	for why, closed := range map[string]bool{"the memory is out": false, "the account is closed": true} {
		l := newLedger(t, 1<<20)
		l.hold(freeBytes, freeBytes)
		other := l.budget.Holder("another")
		other.Claim(1<<20, l.now, l.now)
		if closed {
			l.holder.Close()
		}
		l.m.look()
		if short := l.m.short(l.now, 0); short == closed {
			t.Errorf("%s: short %v", why, short)
		}
	}
}

// Wide windows that are read are in use. A stream that is read does not speak for what stands unread
// beside it, though, nor a little for a lot.
func TestWhatIsReadIsInUse(t *testing.T) {
	const has = 3 * freeBytes
	for why, row := range map[string]struct {
		first, others int // bytes read of the first stream that stands, and of others
		pays          bool
	}{
		"half of it is read":      {freeBytes, freeBytes / 2, false},
		"half stands beside that": {0, has, true},
		"less than half is read":  {freeBytes, 0, true},
		"nothing is read":         {0, 0, true},
	} {
		l := newLedger(t, 4*freeBytes)
		l.hold(freeBytes, freeBytes, freeBytes)
		l.m.have(l.holder.Hold(has)) // a window has grown
		idle := l.budget.Holder("idle")
		idle.OnLoss(func() {})
		idle.Claim(freeBytes, l.now, l.now)
		l.now = l.now.Add(time.Minute)
		l.m.consumed(l.now, l.ids[0], row.first)
		l.m.consumed(l.now, 0, row.others)
		l.budget.Holder("new").Claim(memoryStep, l.now, l.now)
		if pays := l.holder.Hold(has) < has; pays != row.pays {
			t.Errorf("%s: it pays: %v", why, pays)
		}
	}
}

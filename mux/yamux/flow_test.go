package yamux

import (
	"testing"
	"time"
)

// measured returns a server with stream 1 open and a known round trip.
func measured(t *testing.T, cfg Config, rtt time.Duration) *script {
	x := newScript(t, cfg, Server)
	x.now = x.now.Add(rtt)
	x.send(Header{Type: TypePing, Flags: FlagACK, Length: 1})
	x.open(1)
	return x
}

// fill sends n bytes on a stream and consumes them.
func (x *script) fill(id uint32, n int) {
	x.t.Helper()
	x.send(Header{Type: TypeData, ID: id, Length: uint32(n)}, zeros(n))
	x.s.Consumed(x.now, id, n)
	x.drain()
	x.evs = nil
}

func window(x *script, id uint32) int {
	st, _ := x.s.Stream(id)
	return st.Window
}

func granted(x *script, id uint32) int { return int(x.s.streams[id].grant) }

func TestWindowDoublesWhileConsumptionIsQuick(t *testing.T) {
	const rtt = 50 * time.Millisecond
	x := measured(t, Config{MaxWindow: 1 << 20}, rtt)
	x.now = x.now.Add(4*rtt - 1)
	x.fill(1, ProtocolWindow/2)
	x.want("half a window in under four round trips doubles it", "window 1 393216")
	x.now = x.now.Add(4 * rtt)
	x.fill(1, ProtocolWindow)
	x.want("four round trips are too slow", "window 1 262144")
	for range 10 {
		x.now = x.now.Add(rtt)
		x.fill(1, min(window(x, 1)/2, granted(x, 1)))
	}
	if got := window(x, 1); got != 1<<20 {
		t.Fatalf("grew to %d, want MaxWindow", got)
	}
	if got := x.s.Stats().Grown; got != 1<<20-ProtocolWindow {
		t.Fatalf("booked %d", got)
	}
}

func TestWindowStaysWhileTheApplicationIsSlow(t *testing.T) {
	x := measured(t, Config{}, time.Millisecond)
	for range 20 {
		x.now = x.now.Add(100 * time.Millisecond)
		x.fill(1, ProtocolWindow/2)
	}
	if got := window(x, 1); got != ProtocolWindow {
		t.Fatalf("grew to %d", got)
	}
}

func TestWindowStaysUntilTheRoundTripIsKnown(t *testing.T) {
	x := newScript(t, Config{}, Server)
	x.open(1)
	x.fill(1, ProtocolWindow/2)
	x.want("credit without growth", "window 1 131072")
}

func TestWindowsShareTheBudget(t *testing.T) {
	x := measured(t, Config{WindowBudget: 3 * ProtocolWindow}, time.Second)
	x.open(3)
	x.fill(1, ProtocolWindow/2)
	x.fill(1, ProtocolWindow)
	if got := window(x, 1); got != 4*ProtocolWindow {
		t.Fatalf("the first took %d", got)
	}
	x.fill(3, ProtocolWindow/2)
	if got := window(x, 3); got != ProtocolWindow {
		t.Fatalf("the second took %d of an empty budget", got)
	}
	x.s.Reset(x.now, 1, 0)
	x.drain()
	x.fill(3, ProtocolWindow/2)
	if got := window(x, 3); got != 2*ProtocolWindow {
		t.Fatalf("the second took %d of what the first gave back", got)
	}
	x.s.SetWindowBudget(0)
	x.fill(3, ProtocolWindow)
	if got := window(x, 3); got != 2*ProtocolWindow {
		t.Fatalf("grew to %d on a budget that was taken away", got)
	}
}

func TestCreditLeavesRoomForABodyThatIsStillArriving(t *testing.T) {
	x := newScript(t, Config{WindowBudget: -1}, Server)
	x.open(1)
	x.send(Header{Type: TypeData, ID: 1, Length: ProtocolWindow}, zeros(ProtocolWindow/2))
	x.s.Consumed(x.now, 1, ProtocolWindow/2)
	x.want("what is consumed is granted, what is on its way is not", "window 1 131072")
}

func TestRoundTripFallsAtOnceAndRisesSlowly(t *testing.T) {
	x := measured(t, Config{}, 80*time.Millisecond)
	sample := func(d time.Duration) time.Duration {
		x.s.Ping(x.now)
		x.drain()
		x.now = x.now.Add(d)
		x.send(Header{Type: TypePing, Flags: FlagACK, Length: x.s.ping.opaque})
		return x.s.RTT()
	}
	if got := sample(160 * time.Millisecond); got != 90*time.Millisecond {
		t.Fatalf("after a longer one: %v", got)
	}
	if got := sample(20 * time.Millisecond); got != 20*time.Millisecond {
		t.Fatalf("after a shorter one: %v", got)
	}
	if got := sample(0); got != time.Microsecond {
		t.Fatalf("a round trip below the clock's step: %v", got)
	}
}

func TestRoundTripIsMeasuredAgainWhileDataFlows(t *testing.T) {
	x := measured(t, Config{}, time.Millisecond)
	for range 59 {
		x.now = x.now.Add(rttInterval / 60)
		x.fill(1, ProtocolWindow/2)
	}
	x.out = nil
	x.now = x.now.Add(rttInterval / 60)
	x.fill(1, ProtocolWindow/2)
	x.want("a ping goes with the update", "ping SYN 0 2", "window 1 131072")
}

func TestIdleSessionGivesMemoryBack(t *testing.T) {
	x := measured(t, Config{}, time.Millisecond)
	for id := uint32(3); id < 201; id += 2 {
		x.open(id)
		x.s.Reset(x.now, id, 0)
		x.drain()
		x.evs, x.out = nil, nil
	}
	x.s.Reset(x.now, 1, 0)
	x.drain()
	x.evs, x.out = nil, nil
	x.pass(DefaultKeepAlive)
	if x.s.free != nil || cap(x.s.events.q) != 0 {
		t.Fatalf("%d streams and %d events kept", x.s.numFree, cap(x.s.events.q))
	}
	x.want("the silence was broken by a ping", "ping SYN 0 2")
	x.evs = nil
	x.open(201)
}

func TestDroppedDataDoesNotWidenTheWindow(t *testing.T) {
	x := measured(t, Config{}, time.Second)
	x.s.CloseRead(x.now, 1, 0)
	for range 8 {
		x.fill(1, ProtocolWindow/2)
	}
	if got := window(x, 1); got != ProtocolWindow {
		t.Fatalf("grew to %d for data that nobody reads", got)
	}
}

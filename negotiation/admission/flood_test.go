package admission

import (
	"container/heap"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/addrs"
)

// step is one move of a connection's life: at some time after its start it reaches a stage.
type step struct {
	after time.Duration
	to    Stage
	done  bool
}

// flood is a table under attack in virtual time. Attackers hold four times as many connections
// as there are slots and dial each one anew as soon as it is closed, at rate dials a second in
// all; none ever finishes. Honest peers dial at their own pace and finish unless evicted.
type flood struct {
	slots   int
	rate    int
	sources int                       // the attack comes from that many addresses
	script  func(r *rand.Rand) []step // how far an attacking connection goes
	honest  func(i int) netip.Prefix  // where honest peer i dials from
	every   time.Duration             // a burst of honest dials that often
	burst   int                       // honest dials at the same moment
	dials   int                       // honest dials in all
	takes   func(*rand.Rand) []step   // an honest handshake
	seed    uint64
}

type event struct {
	at   time.Time
	seq  int
	play func()
}

type agenda []*event

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at.Before(a[j].at) || a[i].at.Equal(a[j].at) && a[i].seq < a[j].seq
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(*event)) }
func (a *agenda) Pop() any {
	old := *a
	e := old[len(old)-1]
	*a = old[:len(old)-1]
	return e
}

// run returns how many honest dials finished.
func (f flood) run(t *testing.T) int {
	t.Helper()
	var (
		r        = rand.New(rand.NewPCG(f.seed, 1))
		table    = New(Config{Slots: f.slots})
		todo     agenda
		now      = epoch
		seq      int
		nextID   uint64
		closed   = 4 * f.slots // attacking connections that are not open
		attacker = map[uint64]bool{}
		finished int
		settled  int // honest dials whose outcome is known
	)
	at := func(d time.Duration, play func()) {
		seq++
		heap.Push(&todo, &event{at: now.Add(d), seq: seq, play: play})
	}
	admit := func(source netip.Prefix, isAttacker bool, script []step) {
		nextID++
		id := nextID
		attacker[id] = isAttacker
		for _, victim := range table.Admit(now, id, source) {
			if attacker[victim] {
				closed++
			} else {
				settled++
			}
			delete(attacker, victim)
		}
		if table.Len() > f.slots {
			t.Fatalf("%d half-open in %d slots", table.Len(), f.slots)
		}
		for _, s := range script {
			at(s.after, func() {
				if !s.done {
					table.Progress(id, s.to)
				} else if table.Done(id) {
					finished++
					settled++
					delete(attacker, id)
				}
			})
		}
	}
	var attack func()
	attack = func() {
		if closed > 0 {
			closed--
			n := r.IntN(f.sources)
			admit(addrs.LimitPrefix(netip.AddrFrom4([4]byte{127, 1, byte(n >> 8), byte(n)})), true, f.script(r))
		}
		at(time.Second/time.Duration(f.rate), attack)
	}
	attack()
	for i := range f.dials {
		// The flood has filled the table before the first honest peer comes.
		at(time.Second+time.Duration(i/f.burst)*f.every, func() { admit(f.honest(i), false, f.takes(r)) })
	}
	for settled < f.dials && now.Before(epoch.Add(10*time.Minute)) {
		e := heap.Pop(&todo).(*event)
		now = e.at
		e.play()
	}
	if settled != f.dials {
		t.Fatalf("only %d of %d honest dials came to an end", settled, f.dials)
	}
	if len(attacker) < f.slots-f.burst {
		t.Fatalf("the flood holds %d of %d slots: it is none", len(attacker), f.slots)
	}
	return finished
}

// local is an honest handshake of 5 to 50 ms in equal steps.
func local(r *rand.Rand) []step {
	total := 5*time.Millisecond + time.Duration(r.Int64N(int64(45*time.Millisecond)))
	return []step{{total / 4, Speaking, false}, {total / 2, Securing, false}, {total * 3 / 4, Secured, false}, {total, 0, true}}
}

// farAway is an honest handshake with 100 to 300 ms of round trip. Its first bytes come with
// the last packet of TCP's own handshake.
func farAway(r *rand.Rand) []step {
	rtt := 100*time.Millisecond + time.Duration(r.Int64N(int64(200*time.Millisecond)))
	first := time.Duration(r.Int64N(int64(3 * time.Millisecond)))
	return []step{{first, Speaking, false}, {first + rtt, Securing, false}, {first + 2*rtt, Secured, false}, {first + 3*rtt, 0, true}}
}

func silent(*rand.Rand) []step { return nil }

// upTo goes through the stages as fast as it can and stands still in one.
func upTo(stage Stage) func(*rand.Rand) []step {
	return func(*rand.Rand) []step {
		var script []step
		for s := Speaking; s <= stage; s++ {
			script = append(script, step{after: time.Duration(s) * 100 * time.Microsecond, to: s})
		}
		return script
	}
}

func spread(r *rand.Rand) []step { return upTo(Stage(r.IntN(int(Secured))))(r) }

func elsewhere(i int) netip.Prefix {
	return addrs.LimitPrefix(netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}))
}
func oneHost(int) netip.Prefix      { return ip("127.0.0.1") }
func theAttackers(int) netip.Prefix { return ip("127.1.0.0") }

// TestHonestPeersGetInDuringAFlood is promise B1 of the gate: a flood that re-dials whatever is
// closed, 20,000 times a second, keeps at most one honest peer in a hundred out.
func TestHonestPeersGetInDuringAFlood(t *testing.T) {
	for _, c := range []struct {
		name string
		flood
	}{
		{"silent, from one address", flood{sources: 1, script: silent, honest: elsewhere, takes: local}},
		{"silent, from one address, which is the honest peers' too", flood{sources: 1, script: silent, honest: theAttackers, takes: local}},
		{"silent, from 1,000 addresses", flood{sources: 1000, script: silent, honest: elsewhere, takes: local}},
		{"silent, from 1,000 addresses, honest dials in bursts from one host", flood{sources: 1000, script: silent, honest: oneHost, burst: 100, takes: local}},
		{"silent, from one address, honest peers far away", flood{sources: 1, script: silent, honest: elsewhere, takes: farAway}},
		{"silent, from 1,000 addresses, honest peers far away", flood{sources: 1000, script: silent, honest: elsewhere, takes: farAway}},
		{"one byte, from one address", flood{sources: 1, script: upTo(Speaking), honest: elsewhere, takes: local}},
		{"one byte, from 1,000 addresses", flood{sources: 1000, script: upTo(Speaking), honest: elsewhere, takes: local}},
		{"half a handshake, from 1,000 addresses", flood{sources: 1000, script: upTo(Securing), honest: elsewhere, takes: local}},
		{"a whole security handshake, from one address", flood{sources: 1, script: upTo(Secured), honest: elsewhere, takes: local}},
		{"a whole security handshake, from 1,000 addresses", flood{sources: 1000, script: upTo(Secured), honest: elsewhere, takes: local}},
		{"spread over the stages, from one address", flood{sources: 1, script: spread, honest: elsewhere, takes: local}},
		{"spread over the stages, from 1,000 addresses", flood{sources: 1000, script: spread, honest: elsewhere, takes: local}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := c.flood
			f.slots, f.rate, f.dials, f.every, f.seed = DefaultSlots, 20_000, 300, 4*time.Millisecond, 1
			f.burst = max(1, f.burst)
			f.every *= time.Duration(f.burst)
			if got := f.run(t); got < f.dials*99/100 {
				t.Errorf("%d of %d honest dials got in, want 99%%", got, f.dials)
			}
		})
	}
}

// TestTooFewSlotsWouldFail shows that the flood of the test above bites: with a twentieth of
// the slots most honest handshakes are too slow for it.
func TestTooFewSlotsWouldFail(t *testing.T) {
	f := flood{slots: DefaultSlots / 20, rate: 20_000, sources: 1000, script: silent,
		honest: elsewhere, every: 4 * time.Millisecond, burst: 1, dials: 500, takes: local}
	if got := f.run(t); got > f.dials/4 {
		t.Fatalf("%d of %d honest dials got in with %d slots", got, f.dials, f.slots)
	}
}

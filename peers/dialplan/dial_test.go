package dialplan

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"
)

var errRefused = errors.New("remote: connection refused")

// answer is how an address behaves: after a time it connects or fails; never, if the time is zero.
type answer struct {
	after time.Duration
	err   error
}

// world dials in virtual time.
type world struct {
	t       *testing.T
	now     time.Time
	d       *Dial
	answers map[string]answer
	pending map[int]time.Time // outcome or timeout of the attempts under way
	started []string          // "ms address"
	stopped []int
	most    int
	ended   *Ended
}

func newWorld(t *testing.T, answers map[string]answer) *world {
	w := &world{t: t, now: epoch, answers: map[string]answer{}, pending: map[int]time.Time{}}
	for a, ans := range answers {
		w.answers[addr(t, a).String()] = ans
	}
	return w
}

func (w *world) dial(more bool, addrs ...string) *world {
	plan, skipped := Rank(w.now, Input{Self: self, Peer: alice, Addrs: list(w.t, addrs...)})
	w.d = NewDial(Config{}, w.now, alice, plan, skipped, more)
	w.drain()
	return w
}

func (w *world) drain() {
	for e, ok := w.d.Next(); ok; e, ok = w.d.Next() {
		if w.ended != nil {
			w.t.Fatalf("%#v after the end", e)
		}
		switch e := e.(type) {
		case Start:
			w.started = append(w.started, fmt.Sprint(w.now.Sub(epoch).Milliseconds(), " ", e.Addr))
			at := w.now.Add(e.Timeout)
			if ans := w.answers[e.Addr.String()]; ans.after > 0 && ans.after < e.Timeout {
				at = w.now.Add(ans.after)
			}
			w.pending[e.N] = at
			w.most = max(w.most, len(w.pending))
		case Stop:
			delete(w.pending, e.N)
			w.stopped = append(w.stopped, e.N)
		case Ended:
			w.ended = &e
		}
	}
	if n := w.d.Running(); n > MaxParallel {
		w.t.Fatalf("%d attempts at the same time", n)
	}
}

// run plays until the end of the dial or a time.
func (w *world) run(until time.Time) *world {
	w.t.Helper()
	for w.ended == nil && w.now.Before(until) {
		at, ok := w.d.Deadline()
		if !ok {
			w.t.Fatal("a dial that goes on has no deadline")
		}
		pick := -1
		for n, due := range w.pending {
			if due.Before(at) || due.Equal(at) && (pick < 0 || n < pick) {
				pick, at = n, due
			}
		}
		if at.After(until) {
			w.now = until
			return w
		}
		w.now = at
		if pick < 0 {
			w.d.HandleTimeout(w.now)
		} else {
			delete(w.pending, pick)
			ans := w.answers[w.d.Addr(pick).String()]
			switch {
			case ans.after == 0:
				w.d.HandleFailed(w.now, pick, errors.New("local: attempt timed out"))
			case ans.err != nil:
				w.d.HandleFailed(w.now, pick, ans.err)
			default:
				if !w.d.HandleWon(w.now, pick) {
					w.t.Fatal("the first to connect has not won")
				}
			}
		}
		w.drain()
	}
	return w
}

func (w *world) wantStarts(want ...string) {
	w.t.Helper()
	for i, s := range want {
		ms, a, _ := strings.Cut(s, " ")
		want[i] = ms + " " + addr(w.t, a).String()
	}
	if !slices.Equal(w.started, want) {
		w.t.Fatalf("started\n%s\nwant\n%s", strings.Join(w.started, "\n"), strings.Join(want, "\n"))
	}
}

func (w *world) wantWon(ms int, a string) {
	w.t.Helper()
	if w.ended == nil || w.ended.Err != nil || w.d.Addr(w.ended.N).String() != addr(w.t, a).String() || w.now.Sub(epoch).Milliseconds() != int64(ms) {
		w.t.Fatalf("ended %+v after %v, want %s after %d ms", w.ended, w.now.Sub(epoch), a, ms)
	}
	if len(w.pending) != 0 {
		w.t.Fatalf("attempts %v go on", w.pending)
	}
}

func soon(err error) answer { return answer{20 * time.Millisecond, err} }

func TestTheFirstAddressIsEnoughWhenItAnswers(t *testing.T) {
	w := newWorld(t, map[string]answer{quic4: soon(nil), tcp4: soon(nil)}).dial(false, tcp4, quic4).run(epoch.Add(time.Hour))
	w.wantStarts("0 " + quic4)
	w.wantWon(20, quic4)
}

func TestASilentAddressCostsOneStep(t *testing.T) {
	w := newWorld(t, map[string]answer{tcp4: soon(nil)}).dial(false, tcp4, tcp6).run(epoch.Add(time.Hour))
	w.wantStarts("0 "+tcp6, "250 "+tcp4)
	w.wantWon(270, tcp4)
	if !slices.Equal(w.stopped, []int{0}) {
		t.Fatalf("stopped %v, want the silent one", w.stopped)
	}
}

func TestAFailureIsNotWaitedFor(t *testing.T) {
	w := newWorld(t, map[string]answer{quic6: soon(errRefused), quic4: soon(errRefused), tcp6: soon(errRefused), tcp4: soon(nil)})
	w.dial(false, tcp4, tcp6, quic4, quic6).run(epoch.Add(time.Hour))
	w.wantStarts("0 "+quic6, "20 "+quic4, "40 "+tcp6, "60 "+tcp4)
	w.wantWon(80, tcp4)
}

func TestWhatFollowsAnEarlyStartKeepsItsDistance(t *testing.T) {
	w := newWorld(t, map[string]answer{quic4: soon(errRefused), tcp4b: soon(nil)})
	w.dial(false, quic4, tcp4, tcp4b).run(epoch.Add(time.Hour))
	w.wantStarts("0 "+quic4, "20 "+tcp4, "270 "+tcp4b)
}

func TestEveryFailureIsTold(t *testing.T) {
	w := newWorld(t, map[string]answer{quic4: soon(errRefused), tcp4: soon(errRefused)})
	w.dial(false, quic4, tcp4, tcp4b, "/ip4/0.0.0.0/tcp/1").run(epoch.Add(time.Hour))
	var e *Error
	if w.ended == nil || !errors.As(w.ended.Err, &e) || len(e.Failed) != 3 || len(e.Skipped) != 1 || e.Cause != nil {
		t.Fatalf("%+v", w.ended)
	}
	if !errors.Is(e, errRefused) || !errors.Is(e, ErrUnspecified) {
		t.Fatalf("%v hides its reasons", e)
	}
	for _, want := range []string{alice.String(), "all 3 addresses have failed", addr(t, tcp4).String() + ": remote: connection refused", "/ip4/0.0.0.0/tcp/1: "} {
		if !strings.Contains(e.Error(), want) {
			t.Errorf("%q does not say %q", e.Error(), want)
		}
	}
	if want := 40*time.Millisecond + 15*time.Second; w.now.Sub(epoch) != want {
		t.Fatalf("given up after %v, want %v", w.now.Sub(epoch), want)
	}
}

func TestNoAddressIsAnAnswerAtOnce(t *testing.T) {
	w := newWorld(t, nil).dial(false, "/ip4/0.0.0.0/tcp/1")
	if w.ended == nil || !errors.Is(w.ended.Err, ErrNoAddress) || !errors.Is(w.ended.Err, ErrUnspecified) {
		t.Fatalf("%+v", w.ended)
	}
	if _, ok := w.d.Deadline(); ok {
		t.Fatal("an ended dial has a deadline")
	}
}

func TestNoMoreThanEightAtATimeHoweverMany(t *testing.T) {
	answers, all := map[string]answer{}, []string{}
	for i := range 100 {
		a := fmt.Sprintf("/ip4/1.1.1.%d/tcp/1", i)
		all, answers[a] = append(all, a), answer{time.Second, errRefused}
	}
	w := newWorld(t, answers).dial(false, all...).run(epoch.Add(time.Hour))
	if w.most != MaxParallel || len(w.started) != MaxAttempts || w.ended == nil || w.ended.Err == nil {
		t.Fatalf("%d at a time, %d in all, %+v", w.most, len(w.started), w.ended)
	}
}

func TestTheWholeDialEndsInAMinute(t *testing.T) {
	var all []string
	for i := range MaxAttempts {
		all = append(all, fmt.Sprintf("/ip4/1.1.1.%d/tcp/1", i))
	}
	w := newWorld(t, nil).dial(false, all...).run(epoch.Add(time.Hour))
	if w.now.Sub(epoch) != time.Minute || w.ended == nil || !errors.Is(w.ended.Err, ErrTimeout) || len(w.stopped) != MaxParallel || len(w.pending) != 0 {
		t.Fatalf("after %v: %+v, %d stopped", w.now.Sub(epoch), w.ended, len(w.stopped))
	}
	if line := w.ended.Err.Error(); len(line) > 1000 || strings.Contains(line, "\n") {
		t.Fatalf("an error of %d bytes", len(line))
	}
}

func TestNearAddressesAnswerSoonOrNever(t *testing.T) {
	w := newWorld(t, nil).dial(false, lanTCP).run(epoch.Add(time.Hour))
	if w.now.Sub(epoch) != 5*time.Second {
		t.Fatalf("given up after %v", w.now.Sub(epoch))
	}
	plan, _ := Rank(epoch, Input{Self: self, Peer: alice, Addrs: list(t, lanTCP)})
	d := NewDial(Config{Each: time.Second}, epoch, alice, plan, nil, false)
	if e, _ := d.Next(); e.(Start).Timeout != time.Second {
		t.Fatalf("%+v: a near address gets longer than any may have", e)
	}
}

func TestAddressesThatComeLaterJoin(t *testing.T) {
	w := newWorld(t, map[string]answer{tcp4: soon(errRefused), tcp4b: soon(nil)}).dial(true, tcp4)
	w.run(epoch.Add(3 * time.Second))
	if w.ended != nil {
		t.Fatalf("gave up while names were being resolved: %+v", w.ended)
	}
	add := func(more bool, addrs ...string) {
		plan, skipped := Rank(w.now, Input{Self: self, Peer: alice, Addrs: list(t, addrs...)})
		w.d.Add(w.now, plan, skipped, more)
		w.drain()
	}
	add(true, tcp4, tcp6)
	add(false, quic4, tcp4b)
	w.run(epoch.Add(time.Hour))
	w.wantStarts("0 "+tcp4, "3000 "+tcp6, "3000 "+quic4, "3250 "+tcp4b)
	w.wantWon(3270, tcp4b)
	add(false, quic6)
	if w.ended == nil {
		t.Fatal("an ended dial goes on")
	}
}

func TestAddWithoutAnythingEndsADialThatHasNothingLeft(t *testing.T) {
	w := newWorld(t, map[string]answer{tcp4: soon(errRefused)}).dial(true, tcp4)
	w.run(epoch.Add(time.Second))
	w.d.Add(w.now, nil, nil, false)
	w.drain()
	if w.ended == nil || !errors.Is(w.ended.Err, errRefused) {
		t.Fatalf("%+v", w.ended)
	}
}

func TestCancelStopsWhatRuns(t *testing.T) {
	w := newWorld(t, nil).dial(false, tcp4, tcp6).run(epoch.Add(time.Second))
	gone := errors.New("local: nobody wants it any more")
	w.d.Cancel(gone)
	w.d.Cancel(errors.New("again"))
	w.drain()
	if w.ended == nil || w.ended.Err != gone || !slices.Equal(w.stopped, []int{0, 1}) || w.d.Running() != 0 {
		t.Fatalf("%+v, stopped %v", w.ended, w.stopped)
	}
	if w.d.HandleWon(w.now, 0) {
		t.Fatal("a cancelled dial is won")
	}
	w.d.HandleFailed(w.now, 1, errRefused)
	w.d.HandleTimeout(w.now.Add(time.Hour))
	w.drain()
}

func TestLateAndUnknownOutcomesAreIgnored(t *testing.T) {
	w := newWorld(t, nil).dial(false, tcp4, tcp6)
	for _, n := range []int{-1, 1, 2, 99} {
		if w.d.HandleWon(w.now, n) {
			t.Fatalf("attempt %d, which does not run, has won", n)
		}
		w.d.HandleFailed(w.now, n, errRefused)
	}
	if w.d.Addr(-1) != nil || w.d.Addr(99) != nil || w.d.Running() != 1 {
		t.Fatalf("%d run", w.d.Running())
	}
}

// FuzzDial plays any order of outcomes and time.
func FuzzDial(f *testing.F) {
	f.Add([]byte{5, 0, 0, 3, 1, 2, 40, 1, 0})
	f.Add([]byte("failures, timeouts and more addresses"))
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) == 0 {
			return
		}
		mk := func(from, n int) (plan []Attempt) {
			for i := range n {
				a, err := ma.NewMultiaddr(fmt.Sprintf("/ip4/1.1.1.1/tcp/%d", from+i))
				if err != nil {
					t.Fatal(err)
				}
				plan = append(plan, Attempt{Addr: a, Delay: time.Duration(i*from%7) * 100 * time.Millisecond})
			}
			slices.SortStableFunc(plan, func(a, b Attempt) int { return int(a.Delay - b.Delay) })
			return plan
		}
		now := epoch
		d := NewDial(Config{}, now, alice, mk(1, int(ops[0]%80)), nil, ops[0]&1 == 0)
		running, tried, ended := map[int]bool{}, map[string]bool{}, false
		drain := func() {
			for e, ok := d.Next(); ok; e, ok = d.Next() {
				if ended {
					t.Fatalf("%#v after the end", e)
				}
				switch e := e.(type) {
				case Start:
					if running[e.N] || tried[e.Addr.String()] || e.Timeout <= 0 || !d.Addr(e.N).Equal(e.Addr) {
						t.Fatalf("%#v is started again", e)
					}
					running[e.N], tried[e.Addr.String()] = true, true
				case Stop:
					if !running[e.N] {
						t.Fatalf("%#v does not run", e)
					}
					delete(running, e.N)
				case Ended:
					if len(running) != 0 {
						t.Fatalf("%v go on after the end", running)
					}
					ended = true
				}
			}
		}
		drain()
		for i := 0; i < len(ops); i++ {
			arg := 0
			if i+1 < len(ops) {
				arg = int(ops[i+1])
			}
			switch ops[i] % 6 {
			case 0, 1:
				d.HandleFailed(now, arg%70, errRefused)
				delete(running, arg%70)
			case 2:
				now = now.Add(time.Duration(arg) * 10 * time.Millisecond)
				d.HandleTimeout(now)
			case 3:
				d.Add(now, mk(1+arg, arg%5), nil, arg&1 == 0)
			case 4:
				if won := d.HandleWon(now, arg); won != running[arg] {
					t.Fatalf("attempt %d: won %v, running %v", arg, won, running[arg])
				}
				delete(running, arg)
			case 5:
				if arg == 77 {
					d.Cancel(errRefused)
				}
			}
			drain()
			at, ok := d.Deadline()
			if len(running) > MaxParallel || d.Running() != len(running) || ok == ended || len(d.all) > 2*MaxAttempts {
				t.Fatalf("%d run, Running says %d; deadline %v, ended %v", len(running), d.Running(), ok, ended)
			}
			if ok && len(running) == 0 && !d.more {
				t.Fatalf("nothing runs and the dial goes on until %v", at)
			}
		}
	})
}

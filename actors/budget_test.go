package actors

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func TestAHolderHasWhatItHoldsAsFarAsThereIsAny(t *testing.T) {
	b := NewBudget("bytes", 10)
	a, c := b.Holder("a"), b.Holder("c")
	for _, row := range []struct {
		why  string
		h    *Holder
		n    int64
		want int64
	}{
		{"there is enough", a, 6, 6},
		{"the rest, and no more", c, 5, 4},
		{"less is always to be had", a, 2, 2},
		{"what was given back serves others", c, 7, 7},
		{"it is never less than nothing", c, -1, 0},
	} {
		if got := row.h.Hold(row.n); got != row.want {
			t.Errorf("%s: %d, want %d", row.why, got, row.want)
		}
	}
	if used, _ := b.Used(); used != 2 {
		t.Errorf("%d in use", used)
	}
	a.Close()
	if c.Closed() || !a.Closed() || a.Hold(1) != 0 || a.Claim(1, noon, noon) != 0 {
		t.Error("a closed holder has something")
	}
	if free := NewBudget("none", 0).Holder("x"); free.Hold(1<<60) != 1<<60 || free.Claim(1<<61, noon, noon) != 1<<61 {
		t.Error("a budget without a limit refuses")
	}
	if none := NewBudget("none", -1).Holder("x"); none.Hold(1) != 0 || none.Claim(1, noon, noon) != 0 {
		t.Error("a budget of nothing gives something")
	}
}

// parties are holders of one budget that note what they are told.
type parties struct {
	t *testing.T
	*Budget
	told map[string]int
	all  map[string]*Holder
}

func newParties(t *testing.T, cap int64) *parties {
	return &parties{t: t, Budget: NewBudget("bytes", cap), told: map[string]int{}, all: map[string]*Holder{}}
}

// party adds one that has n, which were of use until so long before noon.
func (p *parties) party(name string, n int64, idle time.Duration) {
	h := p.Budget.Holder(name)
	h.OnLoss(func() { p.told[name]++ })
	h.Claim(n, noon, noon.Add(-idle))
	p.all[name] = h
}

// want makes a holder claim n at noon and compares what all have then, and who was told.
func (p *parties) want(why, who string, n int64, idle time.Duration, shares, told string) {
	p.t.Helper()
	h := p.all[who]
	got := h.Claim(n, noon, noon.Add(-idle))
	text, used := "", int64(0)
	for _, s := range p.Shares() {
		text += fmt.Sprintf("%s %d ", s.Name, s.Used)
		if s.Name == who {
			used = s.Used
		}
	}
	if text != shares+" " || fmt.Sprint(p.told) != "map["+told+"]" || got != used {
		p.t.Fatalf("%s: got %d, shares %stold %v; want %s, %s", why, got, text, p.told, shares, told)
	}
}

func TestWhoHoldsMostPaysForAClaim(t *testing.T) {
	p := newParties(t, 100)
	p.party("big", 30, 0)
	p.party("bigger", 60, 0)
	p.party("small", 0, 0)
	p.want("nobody pays while there is any", "small", 10, 0, "bigger 60 big 30 small 10", "")
	p.want("the one who holds most pays", "small", 15, 0, "bigger 55 big 30 small 15", "bigger:1")
	p.want("he is told once until he looks", "small", 20, 0, "bigger 50 big 30 small 20", "bigger:1")
	if got := p.all["bigger"].Hold(60); got != 50 {
		t.Fatalf("he has %d of what he thinks that he has", got)
	}
	p.want("and is told again", "small", 30, 0, "bigger 40 big 30 small 30", "bigger:2")
	p.want("equal parts are the end of it", "small", 36, 0, "bigger 40 big 30 small 30", "bigger:2")
	p.want("the greatest robs nobody", "bigger", 41, 0, "bigger 40 big 30 small 30", "bigger:2")
	p.all["bigger"].Close()
	p.want("what is free is nobody's", "small", 60, 0, "small 60 big 30", "bigger:2")
	p.Budget.Holder("deaf").Hold(100)
	p.want("what nobody can be told of is not taken", "big", 35, 0, "small 55 big 35 deaf 10", "bigger:2 small:1")
	p.all["small"].Close()
	p.Budget.Holder("deaf too").Hold(100)
	p.want("not even if it is most", "big", 36, 0, "deaf too 55 big 35 deaf 10", "bigger:2 small:1")
}

func TestWhoMakesUseOfWhatHeHoldsDoesNotPay(t *testing.T) {
	p := newParties(t, 100)
	p.party("busy", 50, time.Millisecond)
	p.party("idle", 30, 20*time.Millisecond)
	p.party("idler", 20, 35*time.Millisecond)
	p.want("of those who are about as idle as anybody the one who has most pays, also with less", "busy", 55, 0,
		"busy 55 idle 25 idler 20", "idle:1")
	p.want("and as long as he has some", "busy", 80, 0, "busy 80 idler 20 idle 0", "idle:1")
	p.want("who is idle himself takes nothing that would leave less than he has", "idle", 11, 35*time.Millisecond,
		"busy 80 idler 20 idle 0", "idle:1")
	p.want("but may have equal parts", "idle", 10, 35*time.Millisecond, "busy 80 idle 10 idler 10", "idle:1 idler:1")
	p.want("several pay for one who needs more than one has", "busy", 95, 0, "busy 95 idler 5 idle 0", "idle:2 idler:1")
	p.want("there is never more than there is", "busy", 101, 0, "busy 100 idle 0 idler 0", "idle:2 idler:1")

	p = newParties(t, 100)
	p.party("long", 30, time.Hour)
	p.party("longer", 60, time.Second)
	p.party("short", 10, 400*time.Millisecond)
	p.want("a second is as long as an hour", "short", 20, 0, "longer 50 long 30 short 20", "longer:1")
}

func TestWhoNeverClaimsSaysThatHeMakesUseOfIt(t *testing.T) {
	p := newParties(t, 100)
	p.party("idle", 30, time.Minute)
	p.party("new", 0, 0)
	busy := p.Budget.Holder("busy")
	busy.OnLoss(func() { p.told["busy"]++ })
	p.all["busy"] = busy
	busy.Hold(70)
	busy.Stood(noon.Add(-time.Millisecond))
	p.want("he has most, and does not pay", "new", 10, 0, "busy 70 idle 20 new 10", "idle:1")
	busy.Hold(60)
	busy.Hold(70)
	p.want("whatever he holds", "new", 20, 0, "busy 70 new 20 idle 10", "idle:1")
	busy.Stood(noon.Add(-time.Second))
	p.want("until he is idle as well", "new", 30, 0, "busy 60 new 30 idle 10", "busy:1 idle:1")

	p = newParties(t, 100)
	p.party("idle", 30, 10*time.Millisecond)
	p.party("new", 0, 0)
	p.all["silent"] = p.Budget.Holder("silent")
	p.all["silent"].OnLoss(func() { p.told["silent"]++ })
	p.all["silent"].Hold(70)
	p.want("who says nothing is idle", "new", 10, 0, "silent 60 idle 30 new 10", "silent:1")
}

// However many claim at once, there is never more in use than there is, and who holds nothing any
// more has left nothing behind.
func TestClaimsUnderContention(t *testing.T) {
	b := NewBudget("b", 1000)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 0))
			h := b.Holder(fmt.Sprint(i))
			defer h.Close()
			h.OnLoss(func() {
				if used, limit := b.Used(); used < 0 || used > limit { // the lock is free
					t.Errorf("%d of %d", used, limit)
				}
			})
			for range 2000 {
				if n := r.Int64N(500); h.Claim(n, noon, noon.Add(-time.Duration(r.IntN(100))*time.Millisecond)) > n {
					t.Error("more than was wanted")
				}
				h.Hold(r.Int64N(500))
				h.Stood(noon)
			}
		})
	}
	wg.Wait()
	if used, _ := b.Used(); used != 0 || len(b.Shares()) != 0 {
		t.Fatalf("%d in use by nobody", used)
	}
}

package mux

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestWaitlistKeepsTheOrderOfTimeAndNothingOfWhoLeft(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	now := start
	var one, two waitlist
	lists := []*waitlist{&one, &two}
	all := make([]*entry, 50)
	for i := range all {
		all[i] = &entry{id: uint64(i)}
	}
	model := map[*waitlist][]*entry{}
	drop := func(e *entry) {
		for _, l := range lists {
			for i, o := range model[l] {
				if o == e {
					model[l] = append(append([]*entry(nil), model[l][:i]...), model[l][i+1:]...)
				}
			}
		}
	}
	for range 20_000 {
		now = now.Add(time.Duration(r.IntN(3)) * time.Millisecond)
		e, l := all[r.IntN(len(all))], lists[r.IntN(2)]
		switch r.IntN(4) {
		case 0, 1:
			l.push(e, now.Add(10*time.Millisecond))
			drop(e)
			model[l] = append(model[l], e)
		case 2:
			e.leave()
			drop(e)
		case 3:
			for got := l.due(now); got != nil; got = l.due(now) {
				if got != model[l][0] {
					t.Fatalf("stream %d is due before stream %d", got.id, model[l][0].id)
				}
				drop(got)
			}
		}
		for _, l := range lists {
			n := 0
			for e := l.first; e != nil; e = e.wait.next {
				if e.wait.list != l || e != model[l][n] {
					t.Fatal("a list holds what it should not")
				}
				n++
			}
			if n != len(model[l]) {
				t.Fatalf("%d wait, the model says %d", n, len(model[l]))
			}
			at, ok := l.sooner(time.Time{}, false)
			if ok != (n > 0) || ok && at != l.first.wait.at {
				t.Fatal("the list does not say when it is due")
			}
		}
	}
	if one.first == nil && two.first == nil {
		t.Fatal("the test does not test")
	}
	for _, e := range all {
		e.leave()
		if e.wait != (place{}) {
			t.Fatal("an entry that has left still points somewhere")
		}
	}
	if one != (waitlist{}) || two != (waitlist{}) {
		t.Fatal("an empty list still points somewhere")
	}
}

func TestTheEarlierOfTwoDeadlinesCounts(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var l waitlist
	l.push(&entry{}, now)
	for _, c := range []struct {
		t    time.Time
		ok   bool
		want time.Time
	}{
		{time.Time{}, false, now},
		{now.Add(-1), true, now.Add(-1)},
		{now.Add(1), true, now},
	} {
		if got, ok := l.sooner(c.t, c.ok); !ok || got != c.want {
			t.Errorf("sooner(%v, %v) = %v", c.t, c.ok, got)
		}
	}
}

package limits

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/identity"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func TestWhoMakesRoom(t *testing.T) {
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	newcomer := Use{Quiet: at(60)}
	for _, c := range []struct {
		name string
		held []Use
		than Use
		want int // index in held, -1: nobody
	}{
		{"the one that has been idle longest", []Use{{Quiet: at(2)}, {Quiet: at(1)}, {Quiet: at(3)}}, newcomer, 1},
		{"among equals the oldest", []Use{{Quiet: at(1)}, {Quiet: at(1)}}, newcomer, 0},
		{"the lower value before the longer idleness", []Use{{Quiet: at(1)}, {Quiet: at(9), Value: -1}}, newcomer, 1},
		{"the idle before the tagless", []Use{{Busy: true}, {Quiet: at(9), Value: 100}}, Use{Quiet: at(60), Value: 200}, 1},
		{"never the protected", []Use{{Protected: true}, {Quiet: at(50)}}, newcomer, 1},
		{"nobody, if all are protected", []Use{{Protected: true}}, Use{Protected: true, Busy: true, Value: 9}, -1},
		{"nobody, if all are busy", []Use{{Busy: true}, {Busy: true}}, newcomer, -1},
		{"nobody, if all are worth more", []Use{{Value: 1}, {Value: 2}}, newcomer, -1},
		{"nobody, if all work and the newcomer is to", []Use{{Busy: true}}, Use{Busy: true}, -1},
		{"who works and is worth less, for one that is to work", []Use{{Busy: true, Value: 1}, {Busy: true, Value: 3}}, Use{Busy: true, Value: 2}, 0},
		{"the idle, whatever its tags, for one that is to work", []Use{{Value: 1000}}, Use{Busy: true}, 0},
		{"who works, for the protected", []Use{{Busy: true, Value: 7}, {Protected: true}}, Use{Protected: true}, 0},
		{"a newcomer with a value, the one with less", []Use{{Value: 5, Quiet: at(1)}, {Value: 4, Quiet: at(2)}}, Use{Value: 6, Quiet: at(60)}, 1},
		{"nobody, if nobody is there", nil, newcomer, -1},
		{"nobody who has been idle for as short a time", []Use{{Quiet: at(60)}}, newcomer, -1},
	} {
		for _, backwards := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s %v", c.name, backwards), func(t *testing.T) {
				var all Chooser
				for i := range c.held {
					if backwards {
						i = len(c.held) - 1 - i
					}
					all.See(Candidate{ID: uint64(i + 1), Use: c.held[i]})
				}
				got, ok := all.For(c.than)
				if ok != (c.want >= 0) || ok && got != uint64(c.want+1) {
					t.Fatalf("%d, %v makes room, want %d", int(got)-1, ok, c.want)
				}
			})
		}
	}
}

// TestOrderOfUseIsOne: whatever two are compared, at most one is of less use, and the choice among three
// does not depend on who is seen first.
func TestOrderOfUseIsOne(t *testing.T) {
	var all []Use
	for _, protected := range []bool{false, true} {
		for _, busy := range []bool{false, true} {
			for value := range 2 {
				for quiet := range 2 {
					all = append(all, Use{protected, busy, value, noon.Add(time.Duration(quiet) * time.Second)})
				}
			}
		}
	}
	for i, u := range all {
		for j, v := range all {
			if u.Less(v) && v.Less(u) || u.Protected && u.Less(v) {
				t.Fatalf("%+v and %+v", u, v)
			}
			for k, w := range all {
				if u.Less(v) && v.Less(w) && !u.Less(w) {
					t.Fatalf("%+v, %+v, %+v", u, v, w)
				}
				var first uint64
				three := []Candidate{{1, all[i]}, {2, all[j]}, {3, all[k]}}
				for n, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
					var c Chooser
					for _, o := range order {
						c.See(three[o])
					}
					got, _ := c.For(Use{Protected: true})
					if n == 0 {
						first = got
					}
					if got != first {
						t.Fatalf("%+v: %d or %d", three, first, got)
					}
				}
			}
		}
	}
}

func TestEvictionNamesTheLimitAndWhomItWasFor(t *testing.T) {
	e := &Eviction{Limit: "Conns", Cap: 7, For: alice}
	if text := e.Error(); !strings.Contains(text, "Limits.Conns") || !strings.Contains(text, alice.String()) || !strings.Contains(text, "7") {
		t.Fatal(text)
	}
}

func TestTags(t *testing.T) {
	var all Tags
	want := func(peer identity.ID, protected bool, value int) {
		t.Helper()
		if p, v := all.Of(peer); p != protected || v != value {
			t.Fatalf("protected %v, value %d, want %v, %d", p, v, protected, value)
		}
	}
	set := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	want(alice, false, 0)
	set(all.Set(alice, "dht", 5))
	set(all.Set(alice, "mesh", 7))
	set(all.Set(alice, "dht", 6)) // instead of 5
	set(all.Protect(alice, "dht"))
	set(all.Protect(alice, "friend"))
	want(alice, true, 13)
	want(bob, false, 0)
	all.Clear(alice, "dht")
	all.Clear(alice, "no such tag")
	want(alice, true, 7)
	if !all.Unprotect(alice, "dht") || all.Unprotect(alice, "friend") || all.Unprotect(bob, "friend") {
		t.Fatal("Unprotect does not count the reasons")
	}
	all.Clear(alice, "mesh")
	want(alice, false, 0)
	if all.Len() != 0 {
		t.Fatalf("%d are remembered for nothing", all.Len())
	}
	set(all.Set(alice, "a", 1<<62))
	set(all.Set(alice, "b", 1<<62))
	if _, v := all.Of(alice); v <= 0 {
		t.Fatalf("a sum of %d", v)
	}
}

func TestTagsAreBounded(t *testing.T) {
	var all Tags
	for i := range MaxTags {
		if err := all.Set(alice, fmt.Sprint(i), 1); err != nil {
			t.Fatal(i, err)
		}
	}
	if err := all.Protect(alice, "one more"); !errors.Is(err, ErrTags) {
		t.Fatalf("%v, want %v", err, ErrTags)
	}
	if err := all.Set(alice, "3", 9); err != nil {
		t.Fatal(err) // it has that one
	}
	for i := range MaxTagged - 1 {
		if err := all.Protect(identity.ID(fmt.Sprint(i)), "x"); err != nil {
			t.Fatal(i, err)
		}
	}
	if err := all.Set(bob, "x", 1); !errors.Is(err, ErrTagged) {
		t.Fatalf("%v, want %v", err, ErrTagged)
	}
	all.Unprotect("7", "x")
	if err := all.Set(bob, "x", 1); err != nil {
		t.Fatal(err)
	}
}

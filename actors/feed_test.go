package actors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
)

func TestAFeedKeepsTheNewestAndCountsTheRest(t *testing.T) {
	f := NewFeed[int](3)
	for i := range 10 {
		f.Put(i)
		if n := f.Len(); n > 3 {
			t.Fatalf("%d values in a feed of 3", n)
		}
	}
	var got []string
	next := func() {
		v, lost, err := f.Next(t.Context())
		got = append(got, fmt.Sprint(v, " ", lost, " ", err))
	}
	next()
	f.Put(10)
	f.Put(11)
	reason := errors.New("reason")
	f.Close(reason)
	f.Put(12)
	f.Close(io.EOF)
	for range 5 {
		next()
	}
	want := "[7 7 <nil> 9 1 <nil> 10 0 <nil> 11 0 <nil> 0 0 reason 0 0 reason]"
	if fmt.Sprint(got) != want {
		t.Fatalf("got  %v\nwant %v", got, want)
	}
}

func TestAFeedWithoutAReasonEndsAll(t *testing.T) {
	f := NewFeed[int](0)
	f.Close(nil)
	if _, _, err := f.Next(t.Context()); err != io.EOF {
		t.Fatal(err)
	}
}

func TestNextGivesUpWithItsContext(t *testing.T) {
	f := NewFeed[int](1)
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("reason")
	got := make(chan error, 1)
	go func() { _, _, err := f.Next(ctx); got <- err }()
	cancel(reason)
	want(t, "its error", got, reason)
}

func TestEveryReaderOfAFeedIsWoken(t *testing.T) {
	f := NewFeed[int](1000)
	var sum, n int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				v, lost, err := f.Next(context.Background())
				if err != nil {
					return
				}
				mu.Lock()
				sum += v
				n += 1 + int(lost)
				mu.Unlock()
			}
		})
	}
	for i := range 500 {
		f.Put(i)
	}
	f.Close(io.EOF)
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	within(t, "all readers are told of the end", done)
	if n != 500 || sum != 499*500/2 {
		t.Fatal(n, sum)
	}
}

func TestABudgetIsNeverOverdrawn(t *testing.T) {
	b := NewBudget("streams", 10)
	a, c := b.Holder("a"), b.Holder("c")
	var got []any
	got = append(got, a.Take(6), c.Take(5), c.Take(4), c.Take(1), a.Take(1<<62), a.Take(-1))
	a.Give(2)
	a.Give(-5)
	a.Give(100)
	got = append(got, c.Take(7), c.Take(6))
	if fmt.Sprint(got) != "[true false true false false false false true]" {
		t.Fatal(got)
	}
	if used, limit := b.Used(); used != 10 || limit != 10 {
		t.Fatal(used, limit)
	}
	e := b.Why()
	if e.Error() != "limit streams: 10 of 10 in use, most by c (10)" {
		t.Fatal(e)
	}
	if s := b.Shares(); len(s) != 2 || s[0] != (Share{"c", 10}) || s[1] != (Share{"a", 0}) {
		t.Fatal(s)
	}
	c.Close()
	c.Close()
	c.Give(5)
	if used, _ := b.Used(); used != 0 || c.Take(1) || len(b.Shares()) != 1 {
		t.Fatal("a closed holder has something")
	}
	free := NewBudget("none", 0).Holder("x")
	if !free.Take(1 << 60) {
		t.Fatal("a budget without a limit refuses")
	}
}

func TestABudgetUnderContention(t *testing.T) {
	b := NewBudget("b", 50)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 500 {
				h := b.Holder(fmt.Sprint(i))
				if h.Take(int64(i)) {
					h.Give(int64(i) / 2)
				}
				if used, limit := b.Used(); used < 0 || used > limit {
					t.Errorf("%d of %d", used, limit)
				}
				h.Close()
			}
		})
	}
	wg.Wait()
	if used, _ := b.Used(); used != 0 || len(b.Shares()) != 0 {
		t.Fatalf("%d in use by nobody", used)
	}
}

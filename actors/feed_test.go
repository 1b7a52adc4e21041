package actors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"
)

func TestAFeedKeepsTheNewestAndCountsTheRest(t *testing.T) {
	f := NewFeed[int](nil, 3)
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
	f := NewFeed[int](nil, 0)
	f.Close(nil)
	if _, _, err := f.Next(t.Context()); err != io.EOF {
		t.Fatal(err)
	}
}

func TestNextGivesUpWithItsContext(t *testing.T) {
	f := NewFeed[int](nil, 1)
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("reason")
	got := make(chan error, 1)
	go func() { _, _, err := f.Next(ctx); got <- err }()
	cancel(reason)
	want(t, "its error", got, reason)
}

func TestFindDropsWhatComesBefore(t *testing.T) {
	f := NewFeed[int](nil, 10)
	for i := range 5 {
		f.Put(i)
	}
	if v, err := f.Find(t.Context(), func(v int) bool { return v == 2 }); v != 2 || err != nil || f.Len() != 2 {
		t.Errorf("found %d, %v; %d are left", v, err, f.Len())
	}
	f.Close(nil)
	if _, err := f.Find(t.Context(), func(v int) bool { return v > 9 }); !errors.Is(err, io.EOF) || f.Len() != 0 {
		t.Errorf("what never comes: %v; %d are left", err, f.Len())
	}
}

func TestEveryReaderOfAFeedIsWoken(t *testing.T) {
	f := NewFeed[int](nil, 1000)
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
	e := c.Why()
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
	none := NewBudget("none", -1).Holder("x")
	if none.Take(1) || none.Why().Error() != "limit none: 0 of 0 in use" {
		t.Fatal("a budget of nothing gives something: ", none.Why())
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

func TestAHubForgetsAFeedThatIsOver(t *testing.T) {
	reason := errors.New("reason")
	for name, end := range map[string]func(h *Hub[int], f *Feed[int], cancel func()){
		"by its context":      func(_ *Hub[int], _ *Feed[int], cancel func()) { cancel() },
		"by its reader":       func(_ *Hub[int], f *Feed[int], _ func()) { f.Close(reason) },
		"by the hub":          func(h *Hub[int], _ *Feed[int], _ func()) { h.Close(reason) },
		"by both at one time": func(_ *Hub[int], f *Feed[int], cancel func()) { go cancel(); f.Close(reason) },
	} {
		t.Run(name, func(t *testing.T) {
			var h Hub[int]
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			h.Emit(0) // to nobody
			f := h.Subscribe(ctx, 2)
			h.Emit(1)
			end(&h, f, func() { cancel(reason) })
			if v, _, err := f.Next(t.Context()); v != 1 || err != nil {
				t.Fatal(v, err)
			}
			if _, _, err := f.Next(t.Context()); err != reason {
				t.Fatal(err)
			}
			if !eventually(func() bool { h.mu.Lock(); defer h.mu.Unlock(); return len(h.feeds) == 0 }) {
				t.Fatal("the hub keeps it")
			}
			h.Emit(2)
		})
	}
	t.Run("and one that is added to a closed hub", func(t *testing.T) {
		var h Hub[int]
		h.Close(nil)
		if _, _, err := h.Subscribe(t.Context(), 1).Next(t.Context()); err != io.EOF {
			t.Fatal(err)
		}
	})
	t.Run("and one whose context is done already", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(reason)
		for range 200 {
			var h Hub[int]
			if _, _, err := h.Subscribe(ctx, 1).Next(t.Context()); err != reason {
				t.Fatal(err)
			}
		}
	})
}

func TestADeadlineByTheRuntimesClock(t *testing.T) {
	rt, h := standStill(t)
	ctx, cancel := rt.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if at, ok := ctx.Deadline(); !ok || !at.Equal(h.now().Add(time.Second)) {
		t.Fatal(at, ok)
	}
	early, cancelEarly := rt.WithTimeout(ctx, time.Hour)
	defer cancelEarly()
	if at, _ := early.Deadline(); !at.Equal(h.now().Add(time.Second)) {
		t.Fatal("a child's deadline is later than its parent's", at)
	}
	ran := make(chan struct{})
	rt.OnDone(early, func() { close(ran) })
	rt.OnDone(early, func() { panic("in OnDone") })
	if ctx.Err() != nil {
		t.Fatal(ctx.Err())
	}
	h.pass(time.Second)
	within(t, "the end", early.Done())
	for _, c := range []context.Context{ctx, early} {
		if c.Err() != context.DeadlineExceeded || context.Cause(c) != context.DeadlineExceeded {
			t.Fatal(c.Err(), context.Cause(c))
		}
	}
	within(t, "OnDone", ran)
	if !eventually(func() bool { return len(rt.Tree("").Failures) == 1 }) {
		t.Fatal("the panic is not on record")
	}
	other, cancelOther := rt.WithTimeout(context.Background(), time.Second)
	cancelOther()
	if other.Err() != context.Canceled || h.armed() > 1 {
		t.Fatal(other.Err(), h.armed())
	}
}

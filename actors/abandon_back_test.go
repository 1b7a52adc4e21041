package actors

import (
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// TestOneThatComesBackWhileItIsAbandonedIsNotWaitedFor: it is buried by somebody who is slow.
func TestOneThatComesBackWhileItIsAbandonedIsNotWaitedFor(t *testing.T) {
	rt := runStuck(t, time.Millisecond)
	let, stuck := make(chan struct{}), make(chan struct{})
	r := root(t, rt, spec("r", func(ctx actor.Context) {
		if ctx.Message() == "hang" {
			close(stuck)
			<-let
		}
	}))
	_ = r.Send("hang")
	within(t, "hang", stuck)
	rt.graves.mu.Lock()
	r.Stop()
	if !eventually(func() bool { return r.c.is(Abandoned) }) {
		t.Error("it is not abandoned")
	}
	close(let)
	if !eventually(func() bool {
		r.c.mu.Lock()
		defer r.c.mu.Unlock()
		return r.c.run == runIdle
	}) {
		t.Error("it does not come back")
	}
	rt.graves.mu.Unlock()
}

// TestOnAbandonedIsForTheAbandonedOnly, and for them also when they were abandoned before.
func TestOnAbandonedIsForTheAbandonedOnly(t *testing.T) {
	rt := runStuck(t, time.Millisecond)
	told := make(chan string, 10)
	let, stuck := make(chan struct{}), make(chan struct{})
	r := root(t, rt, spec("r", func(ctx actor.Context) {
		if ctx.Message() == "hang" {
			close(stuck)
			<-let
		}
	}))
	o := root(t, rt, spec("o", func(actor.Context) {}))
	OnAbandoned(o, func() { told <- "of one that was stopped" })
	OnAbandoned(r, func() { told <- "in time" })
	OnAbandoned(r, func() { told <- "in spite of cancel" })()
	o.Stop()
	within(t, "end", o.Done())
	OnAbandoned(o, func() { told <- "of one that had ended" })
	_ = r.Send("hang")
	within(t, "hang", stuck)
	r.Stop()
	want(t, "told", told, "in time")
	OnAbandoned(r, func() { told <- "late" })
	want(t, "told", told, "late")
	close(let)
	if len(told) > 0 {
		t.Error("told " + <-told)
	}
}

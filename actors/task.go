package actors

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// Task is blocking work that an actor has started: a dial, a look-up, a user's handler. It runs
// beside the actor, is cancelled with it, and answers with a message. One that does not return
// when it is cancelled is listed as a stray until it does; nothing waits for it.
type Task struct {
	c      *cell
	name   string
	inc    uint32
	born   int64
	goid   int64 // mu of the cell
	cancel context.CancelCauseFunc
	lost   bool // mu of the runtime: the owner is gone
	over   bool // mu of the runtime

	prev, next *Task // mu of the cell
}

// errTaskGoexit stands for a task that ended through runtime.Goexit.
var errTaskGoexit = errors.New("runtime.Goexit was called in a task")

// StartTask runs f on a goroutine of its own. f's context is done when the actor stops or
// restarts, or when Cancel is called. A message that f returns is delivered to the actor on the
// control lane if it is still the same incarnation, and discarded else; nil is not delivered. A
// panic in f is handed to onPanic, whose answer is delivered; with nil it fails the actor.
func StartTask(ctx actor.Context, name string, f func(context.Context) any, onPanic func(*PanicError) any) *Task {
	c := cellOf(ctx)
	run, cancel := context.WithCancelCause(context.Background())
	t := &Task{c: c, name: name, inc: c.inc, born: c.rt.host.nano(), cancel: cancel}
	c.mu.Lock()
	x := c.ext()
	t.next = x.tasks
	if t.next != nil {
		t.next.prev = t
	}
	x.tasks = t
	c.mu.Unlock()
	c.rt.host.goRun(func() {
		clean := false
		var m any
		defer func() {
			if !clean {
				r := recover()
				if r == nil {
					r = errTaskGoexit
				}
				pe := &PanicError{Path: c.path() + "/" + name, Value: r, Message: "task", At: c.rt.host.now(), Stack: debug.Stack()}
				if onPanic != nil {
					c.rt.graves.failure(pe)
					c.rt.notify(Event{Kind: EventFailed, Path: pe.Path, Actor: "task", Err: pe})
					m = onPanic(pe)
				} else {
					m = &taskPanic{pe}
				}
			}
			cancel(context.Canceled)
			t.finish(m)
		}()
		t.note()
		m = f(run)
		clean = true
	})
	return t
}

// Cancel ends the task's context.
func (t *Task) Cancel() {
	if t != nil {
		t.cancel(context.Canceled)
	}
}

func (t *Task) note() {
	id := goid()
	t.c.mu.Lock()
	t.goid = id
	t.c.mu.Unlock()
}

func (t *Task) finish(m any) {
	c := t.c
	c.mu.Lock()
	if t.prev != nil {
		t.prev.next = t.next
	} else if c.x.tasks == t {
		c.x.tasks = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	}
	t.prev, t.next = nil, nil
	c.mu.Unlock()
	c.rt.mu.Lock()
	t.over = true
	if t.lost {
		delete(c.rt.strays, t)
		c.rt.idle.Broadcast()
	}
	c.rt.mu.Unlock()
	if m == nil {
		return
	}
	d := &taskDone{t, m}
	if err := c.postControl(d); err != nil {
		discard(m, err)
	}
}

// taskDone carries a task's answer to the incarnation that started it.
type taskDone struct {
	t *Task
	m any
}

func (d *taskDone) open(c *cell) (any, bool) {
	if d.t.inc != c.inc {
		discard(d.m, ErrRestarting)
		return nil, false
	}
	if p, ok := d.m.(*taskPanic); ok {
		panic(p.err)
	}
	return d.m, true
}

// Discard implements Discarder.
func (d *taskDone) Discard(why error) { discard(d.m, why) }

type taskPanic struct{ err *PanicError }

// takeTasks is called with mu held.
func (x *extras) takeTasks() []*Task {
	var out []*Task
	for t := x.tasks; t != nil; {
		next := t.next
		t.prev, t.next = nil, nil
		out = append(out, t)
		t = next
	}
	x.tasks = nil
	return out
}

// orphan cancels the task of an owner that is gone.
func (t *Task) orphan() {
	rt := t.c.rt
	rt.mu.Lock()
	if !t.over && !t.lost {
		t.lost = true
		rt.strays[t] = struct{}{}
	}
	rt.mu.Unlock()
	t.cancel(ErrStopped)
}

func (t *Task) age(now int64) time.Duration { return time.Duration(now - t.born) }

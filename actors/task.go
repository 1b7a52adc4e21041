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

// StartTask runs f on a goroutine of its own. f's context is done when the actor fails, stops or
// restarts, or when Cancel is called. A message that f returns is delivered to the actor on the
// control lane if it is still the same incarnation, and discarded else; nil is not delivered. A
// panic in f is handed to onPanic, whose answer is delivered; with nil it fails the actor. A task
// that an actor starts while it stops is cancelled from the start.
func StartTask(ctx actor.Context, name string, f func(context.Context) any, onPanic func(*PanicError) any) *Task {
	c := cellOf(ctx)
	run, cancel := context.WithCancelCause(context.Background())
	t := &Task{c: c, name: name, inc: c.inc, born: c.rt.host.nano(), cancel: cancel}
	c.mu.Lock()
	last := c.closing()
	if !last {
		x := c.ext()
		t.next = x.tasks
		if t.next != nil {
			t.next.prev = t
		}
		x.tasks = t
	}
	c.mu.Unlock()
	if last {
		t.orphan(ErrStopped)
	}
	c.rt.host.goRun(func() { t.run(run, f, onPanic) })
	return t
}

func (t *Task) run(ctx context.Context, f func(context.Context) any, onPanic func(*PanicError) any) {
	clean := false
	var m any
	defer func() {
		if !clean {
			m = t.failed(recover(), onPanic)
		}
		t.cancel(context.Canceled)
		t.finish(m)
	}()
	t.note()
	m = f(ctx)
	clean = true
}

func (t *Task) failed(r any, onPanic func(*PanicError) any) (m any) {
	if r == nil {
		r = errTaskGoexit
	}
	rt := t.c.rt
	pe := &PanicError{Path: t.path(), Value: r, Message: "task", At: rt.host.now(), Stack: debug.Stack()}
	if onPanic == nil {
		return &taskPanic{t, pe}
	}
	rt.record(pe, "task")
	rt.guard("task", t, func() { m = onPanic(pe) })
	return m
}

func (t *Task) path() string { return t.c.path() + "/" + t.name }

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

// finish hands the outcome over first: while a task is listed, Close waits for it, and after
// Close nothing of it may come to light.
func (t *Task) finish(m any) {
	c := t.c
	if m != nil {
		if err := c.postControl(&taskDone{t, m}); err != nil {
			c.undelivered(m, err)
		}
	}
	c.mu.Lock()
	if t.prev != nil {
		t.prev.next = t.next
	} else if x := c.ext(); x.tasks == t {
		x.tasks = t.next
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
}

// taskDone carries a task's answer to the incarnation that started it.
type taskDone struct {
	t *Task
	m any
}

func (d *taskDone) open(c *cell) (any, bool) {
	m := d.m
	d.m = nil // from here on it is received, or given back right here
	if d.t.inc != c.inc {
		c.undelivered(m, ErrRestarting)
		return nil, false
	}
	if p, ok := m.(*taskPanic); ok {
		panic(p.err)
	}
	return m, true
}

// Discard implements Discarder.
func (d *taskDone) Discard(why error) { discard(d.m, why) }

// taskPanic fails the task's owner, or at least goes on record if the owner has failed or ended
// before.
type taskPanic struct {
	t   *Task
	err *PanicError
}

// Discard implements Discarder.
func (p *taskPanic) Discard(error) { p.t.c.rt.record(p.err, "task") }

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
func (t *Task) orphan(why error) {
	rt := t.c.rt
	rt.mu.Lock()
	if !t.over && !t.lost {
		t.lost = true
		rt.strays[t] = struct{}{}
	}
	rt.mu.Unlock()
	t.cancel(why)
}

func (t *Task) age(now int64) time.Duration { return time.Duration(now - t.born) }

package harness

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/interop/control"
)

// Attack is a run of the hostile program.
type Attack struct {
	*Proc
	result chan control.Reply
}

// StartAttack runs the attack of that kind and returns when it is on.
func StartAttack(tb testing.TB, kind, addr string, args ...string) *Attack {
	tb.Helper()
	a := &Attack{result: make(chan control.Reply, 1)}
	ready := make(chan struct{}, 1)
	args = append([]string{kind, "-addr", addr}, args...)
	a.Proc = start(tb, "hostile "+kind, binary(tb, "hostile"), args, nil, func(line []byte) {
		var r control.Reply
		if err := json.Unmarshal(line, &r); err != nil {
			tb.Errorf("hostile printed no JSON: %q", line)
			return
		}
		switch r.Event {
		case "ready":
			ready <- struct{}{}
		case "result":
			a.result <- r
		}
	})
	select {
	case <-ready:
	case <-a.exited:
		tb.Fatalf("%s ended before it began: %v", a.Name, a.death())
	case <-time.After(startTimeout):
		tb.Fatalf("%s did not begin within %v", a.Name, startTimeout)
	}
	return a
}

// Wait waits for the victim, or the attack's own limit, to end it.
func (a *Attack) Wait(tb testing.TB, within time.Duration) control.Hostile {
	tb.Helper()
	select {
	case r := <-a.result:
		return *r.Hostile
	case <-time.After(within):
		tb.Fatalf("%s did not end within %v", a.Name, within)
	}
	panic("unreachable")
}

// Stop ends the attack and returns what it saw.
func (a *Attack) Stop(tb testing.TB) control.Hostile {
	tb.Helper()
	_ = a.stdin.Close()
	return a.Wait(tb, stopTimeout)
}

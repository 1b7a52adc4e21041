package troupe_test

import (
	"context"
	"io"
	"runtime/debug"
	"strings"
	"sync"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/protocols/echo"
)

// where answers with what its turn ran on. One that is sent "hang" on a pump tells so, and waits.
type where struct {
	hung    chan struct{}
	release chan struct{}
}

func (w where) Receive(ctx actor.Context) {
	m, ok := ctx.Message().(*troupe.StreamData)
	if !ok {
		return
	}
	on := "worker"
	if strings.Contains(string(debug.Stack()), "(*Lender).Run") {
		on = "pump"
	}
	if on == "pump" && string(m.B) == "hang" {
		w.hung <- struct{}{}
		<-w.release
	}
	m.Stream.WriteCopy([]byte(on))
	m.Stream.Close()
}

// TestAHandlerThatHadBeenQuickAndHangsHoldsUpNobody: users' handlers that are quick run on the goroutine
// that reads the connection, until one of them hangs there.
func TestAHandlerThatHadBeenQuickAndHangsHoldsUpNobody(t *testing.T) {
	const protocol = "/where/1"
	a, b := newNode(t), newNode(t)
	w := where{hung: make(chan struct{}, 1), release: make(chan struct{})}
	release := sync.OnceFunc(func() { close(w.release) })
	defer release()
	if err := a.Handle(protocol, troupe.ActorHandler(func() actor.Actor { return w })); err != nil {
		t.Fatal(err)
	}
	if err := a.Handle(echo.Protocol, echo.Handler()); err != nil {
		t.Fatal(err)
	}
	connect(t, b, a)
	answer := make(chan string, 1)
	ask := func(what string) {
		s := open(t, b, a.ID(), protocol)
		if _, err := s.Write([]byte(what)); err != nil {
			t.Fatal(err)
		}
		go func() {
			got, _ := io.ReadAll(s)
			answer <- string(got)
		}()
	}
	until(t, "a handler that hangs on the connection's own goroutine", func() bool {
		ask("hang")
		select {
		case <-w.hung:
			return true
		case <-answer: // it ran on a worker
			return false
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	for range 10 {
		if err := echoes(ctx, b, a, "beside it"); err != nil {
			t.Fatal(err)
		}
	}
	if ask("go"); <-answer != "worker" {
		t.Error("the next of its kind ran on a pump")
	}
	release()
	if got := <-answer; got != "pump" {
		t.Errorf("the one that hung says %q", got)
	}
}

package transporttest

import (
	"testing"

	"github.com/troupe-p2p/troupe/transports/conduit"
)

// panicky is an owner with a bug.
type panicky struct{ Acceptor }

func (*panicky) Accepted(conduit.Conduit) { panic(errBug) }

// trPanicAccept: the listener fails, its connection is closed, its address is free.
func trPanicAccept(t *testing.T, s *Subject, tr conduit.Transport) {
	acc := &panicky{}
	l, err := tr.Listen(s.Listen, acc)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := Dial(t.Context(), tr, l.Addr()); err == nil { // a Muxed one may be gone already
		sees(t, c)
	}
	if err := acc.WaitFailed(t); !isPanic(err, errBug) {
		t.Errorf("Failed(%v)", err)
	}
	again, _ := Listen(t, tr, l.Addr())
	_ = again.Close()
	if err := l.Close(); err != nil {
		t.Errorf("Close after Failed: %v", err)
	}
}

// trPanicDial: done is called once, and the connection is closed.
func trPanicDial(t *testing.T, s *Subject, tr conduit.Transport) {
	l, acc := Listen(t, tr, s.Listen)
	calls := make(chan struct{}, 2)
	tr.Dial(t.Context(), l.Addr(), "", func(conduit.Conduit, error) {
		calls <- struct{}{}
		panic(errBug)
	})
	<-calls
	sees(t, acc.Next(t, 0))
	if len(calls) > 0 {
		t.Error("done was called twice")
	}
}

// sees waits until the other end's close is told.
func sees(t *testing.T, c conduit.Conduit) {
	t.Helper()
	defer c.Abandon()
	if c.Raw != nil {
		s := &Sink{}
		s.bind(c.Raw, 1)
		s.WaitEnded(t, "the other end's close")
		return
	}
	m := &MuxedSink{}
	c.Muxed.Bind(m)
	m.waitEnded(t)
}

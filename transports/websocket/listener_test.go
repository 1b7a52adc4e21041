package websocket

import (
	"errors"
	"syscall"
	"testing"

	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"
)

// scripted is a listener whose accept fails with errs, one after another, before it accepts.
func scripted(t *testing.T, sink conduit.AcceptSink, errs ...error) *listener {
	t.Helper()
	l, err := New(transporttest.Runtime(t), Config{}).listen(anyPort, sink)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	l.Accept = transporttest.FailingAccepts(l.Accept, errs...)
	l.Start()
	return l
}

func TestAShortageIsReportedOnceAndOutlived(t *testing.T) {
	acc := &transporttest.Acceptor{}
	l := scripted(t, acc, syscall.ECONNABORTED, syscall.EMFILE, syscall.ENFILE, syscall.EMFILE)
	c, err := transporttest.Dial(t.Context(), l.t, l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	c.Abandon()
	acc.Next(t, 0).Abandon()
	if err := acc.WaitDegraded(t, 1); origins(err) != fault.Limit || !errors.Is(err, syscall.EMFILE) {
		t.Errorf("Degraded(%v)", err)
	}
	if _, failed, degraded := acc.Counts(); failed != 0 || degraded != 1 {
		t.Errorf("%d failures, %d reports of a shortage", failed, degraded)
	}
}

func TestAFatalAcceptErrorClosesTheListenerAndFreesThePort(t *testing.T) {
	acc := &transporttest.Acceptor{}
	l := scripted(t, acc, syscall.EINVAL)
	if err := acc.WaitFailed(t); !errors.Is(err, syscall.EINVAL) || origins(err) != fault.Local {
		t.Errorf("Failed(%v)", err)
	}
	again, err := l.t.Listen(l.Addr(), &transporttest.Acceptor{})
	if err != nil {
		t.Fatalf("the port is still taken: %v", err)
	}
	_ = again.Close()
}

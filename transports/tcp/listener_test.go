package tcp

import (
	"errors"
	"net"
	"slices"
	"syscall"
	"testing"

	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"
)

// scripted is a listener whose accept fails with errs, one after another, before it accepts.
func scripted(t *testing.T, sink conduit.AcceptSink, errs ...error) (*Transport, *listener) {
	t.Helper()
	tr := New(transporttest.Runtime(t), Config{})
	l, err := tr.listen(anyPort, sink)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	l.Accept = transporttest.FailingAccepts(l.Accept, errs...)
	l.Start()
	return tr, l
}

// knock connects to a listener without a transport.
func knock(t *testing.T, l conduit.Listener) net.Conn {
	t.Helper()
	_, address, err := dialArgs(l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestAShortageIsReportedOnceAndOutlived(t *testing.T) {
	acc := &transporttest.Acceptor{}
	_, l := scripted(t, acc, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.EMFILE)
	knock(t, l)
	acc.Next(t, 0).Abandon()
	err := acc.WaitDegraded(t, 1)
	var te *Error
	if !errors.As(err, &te) || te.Origin.String() != "limit" || !errors.Is(err, syscall.EMFILE) {
		t.Errorf("Degraded(%v)", err)
	}
	if _, failed, degraded := acc.Counts(); failed != 0 || degraded != 1 {
		t.Errorf("%d failures, %d reports of a shortage", failed, degraded)
	}
}

func TestConnectionsThatFailDoNotHoldUpOthers(t *testing.T) {
	acc := &transporttest.Acceptor{}
	_, l := scripted(t, acc, slices.Repeat([]error{syscall.ECONNABORTED, syscall.EPROTO}, sockets.MaxFlukes/2)...)
	knock(t, l)
	acc.Next(t, 0).Abandon()
	if _, failed, degraded := acc.Counts(); failed+degraded != 0 {
		t.Errorf("%d failures, %d reports", failed, degraded)
	}
}

func TestAFaultThatLooksLikeFailedConnectionsDoesNotSpin(t *testing.T) {
	acc := &transporttest.Acceptor{}
	scripted(t, acc, slices.Repeat([]error{syscall.EPROTO}, 1000*sockets.MaxFlukes)...)
	if err := acc.WaitDegraded(t, 1); !errors.Is(err, syscall.EPROTO) {
		t.Errorf("Degraded(%v)", err)
	}
}

func TestCloseEndsTheWaitForDescriptors(t *testing.T) {
	acc := &transporttest.Acceptor{}
	_, l := scripted(t, acc, slices.Repeat([]error{syscall.EMFILE}, 1000)...)
	_ = acc.WaitDegraded(t, 1)
	_ = l.Close() // Runtime finds the pump if it goes on
	if _, failed, _ := acc.Counts(); failed != 0 {
		t.Error("Failed after Close")
	}
}

func TestAFatalAcceptErrorClosesTheListenerAndFreesThePort(t *testing.T) {
	acc := &transporttest.Acceptor{}
	tr, l := scripted(t, acc, syscall.EINVAL)
	if err := acc.WaitFailed(t); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("Failed(%v)", err)
	}
	again, err := tr.Listen(l.Addr(), &transporttest.Acceptor{})
	if err != nil {
		t.Fatalf("the port is still taken: %v", err)
	}
	_ = again.Close()
	if err := l.Close(); err != nil {
		t.Errorf("Close after Failed: %v", err)
	}
}

func TestListenErrorsTellWhatIsWrong(t *testing.T) {
	tr := New(transporttest.Runtime(t), Config{})
	l, err := tr.Listen(anyPort, &transporttest.Acceptor{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, err = tr.Listen(l.Addr(), &transporttest.Acceptor{})
	var te *Error
	if !errors.Is(err, syscall.EADDRINUSE) || !errors.As(err, &te) || te.Origin.String() != "local" {
		t.Errorf("err = %v", err)
	}
}

func TestIPv6AndIPv4HaveThePortEach(t *testing.T) {
	tr := New(transporttest.Runtime(t), Config{})
	for {
		six, err := tr.Listen(mustAddr("/ip6/::1/tcp/0"), &transporttest.Acceptor{})
		if err != nil {
			t.Fatal("the test needs IPv6 on the loopback interface:", err)
		}
		port, _ := six.Addr().ValueForProtocol(6)
		four, err := tr.Listen(mustAddr("/ip4/127.0.0.1/tcp/"+port), &transporttest.Acceptor{})
		_ = six.Close()
		if errors.Is(err, syscall.EADDRINUSE) {
			continue // another program has the IPv4 port
		}
		if err != nil {
			t.Fatal(err)
		}
		_ = four.Close()
		return
	}
}

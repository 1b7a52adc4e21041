package tcp

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"
)

// scripted is a listener whose accept fails with errs, one after another, before it accepts.
func scripted(t *testing.T, sink conduit.AcceptSink, errs ...error) *listener {
	t.Helper()
	l, err := New(transporttest.Runtime(t), Config{}).listen(anyPort, sink)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	accept := l.accept
	l.accept = func() (*net.TCPConn, error) {
		if len(errs) > 0 {
			err := errs[0]
			errs = errs[1:]
			return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", err)}
		}
		return accept()
	}
	return l
}

func TestAShortageIsReportedOnceAndOutlived(t *testing.T) {
	acc := &transporttest.Acceptor{}
	l := scripted(t, acc, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.EMFILE)
	l.start()
	c, err := net.Dial("tcp", l.nl.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	acc.Next(t, 0).Abandon()
	err = acc.WaitDegraded(t, 1)
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
	l := scripted(t, acc, slices.Repeat([]error{syscall.ECONNABORTED, syscall.EPROTO}, sockets.MaxFlukes/2)...)
	l.start()
	c, err := net.Dial("tcp", l.nl.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	acc.Next(t, 0).Abandon()
	if _, failed, degraded := acc.Counts(); failed+degraded != 0 {
		t.Errorf("%d failures, %d reports", failed, degraded)
	}
}

func TestAFaultThatLooksLikeFailedConnectionsDoesNotSpin(t *testing.T) {
	acc := &transporttest.Acceptor{}
	l := scripted(t, acc, slices.Repeat([]error{syscall.EPROTO}, 1000*sockets.MaxFlukes)...)
	l.start()
	if err := acc.WaitDegraded(t, 1); !errors.Is(err, syscall.EPROTO) {
		t.Errorf("Degraded(%v)", err)
	}
}

func TestCloseEndsTheWaitForDescriptors(t *testing.T) {
	acc := &transporttest.Acceptor{}
	l := scripted(t, acc, slices.Repeat([]error{syscall.EMFILE}, 1000)...)
	l.start()
	_ = acc.WaitDegraded(t, 1)
	_ = l.Close() // Runtime finds the pump if it goes on
	if _, failed, _ := acc.Counts(); failed != 0 {
		t.Error("Failed after Close")
	}
}

func TestAFatalAcceptErrorClosesTheListenerAndFreesThePort(t *testing.T) {
	acc := &transporttest.Acceptor{}
	l := scripted(t, acc, syscall.EINVAL)
	l.start()
	if err := acc.WaitFailed(t); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("Failed(%v)", err)
	}
	again, err := l.t.Listen(l.Addr(), &transporttest.Acceptor{})
	if err != nil {
		t.Fatalf("the port is still taken: %v", err)
	}
	_ = again.Close()
	if err := l.Close(); err != nil {
		t.Errorf("Close after Failed: %v", err)
	}
}

// panicky is an owner with a bug in Accepted.
type panicky struct {
	transporttest.Acceptor
	got conduit.Conduit
}

func (p *panicky) Accepted(c conduit.Conduit) {
	p.got = c
	panic("a bug in the owner")
}

func TestAPanicOfTheOwnerFailsTheListenerAndClosesTheConnection(t *testing.T) {
	acc := &panicky{}
	l := scripted(t, acc)
	l.start()
	c, err := net.Dial("tcp", l.nl.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	var pe *actors.PanicError
	if err := acc.WaitFailed(t); !errors.As(err, &pe) {
		t.Errorf("Failed(%v)", err)
	}
	if _, err := c.Read(make([]byte, 1)); err != io.EOF && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the connection lives on: %v", err)
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

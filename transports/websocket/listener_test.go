package websocket

import (
	"errors"
	"net"
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

func TestSlotsAreLostByTheAddressThatHoldsMost(t *testing.T) {
	s := slots{max: 4}
	enter := func(ip string) *caller {
		c := &caller{from: &net.TCPAddr{IP: net.ParseIP(ip), Port: 1}}
		s.enter(nil, c)
		return c
	}
	honest := enter("192.0.2.1")
	first, second := enter("198.51.100.1"), enter("198.51.100.1")
	six := enter("2001:db8::1")
	if honest.closed || first.closed || six.closed {
		t.Fatal("there was room")
	}
	enter("2001:db8:1::1")
	if !first.closed || honest.closed || second.closed || six.closed {
		t.Error("it was not the oldest of who holds most")
	}
	enter("2001:db8:0:ff::1") // the same /56 as six
	if !six.closed || honest.closed || second.closed {
		t.Error("it was not the oldest of who holds most, this time of IPv6")
	}
}

func TestTheEndOfAListenerSparesWhoHasLeft(t *testing.T) {
	s := slots{max: 4}
	one, other := &listener{}, &listener{}
	enter := func(l *listener) (*slot, *caller) {
		c := &caller{from: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}}
		return s.enter(l, c), c
	}
	gone, goneConn := enter(one)
	stays, staysConn := enter(one)
	others, othersConn := enter(other)
	if !s.leave(gone) {
		t.Error("the slot was not held")
	}
	s.close(one)
	if goneConn.closed || !staysConn.closed || othersConn.closed {
		t.Errorf("closed: %v, %v, %v", goneConn.closed, staysConn.closed, othersConn.closed)
	}
	if s.leave(stays) || !s.leave(others) || len(s.in) > 0 {
		t.Errorf("%d slots are held", len(s.in))
	}
}

// caller is a connection that has nothing but a remote.
type caller struct {
	net.Conn
	from   net.Addr
	closed bool
}

func (c *caller) RemoteAddr() net.Addr { return c.from }
func (c *caller) Close() error         { c.closed = true; return nil }

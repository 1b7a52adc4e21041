package sockets

import (
	"net"
	"testing"
)

func TestSlotsAreLostByTheAddressThatHoldsMost(t *testing.T) {
	s := Slots{Max: 4}
	enter := func(ip string) *caller {
		c := &caller{from: &net.TCPAddr{IP: net.ParseIP(ip), Port: 1}}
		s.Enter(nil, c)
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
	s := Slots{Max: 4}
	one, other := new(int), new(int)
	enter := func(l *int) (*Slot, *caller) {
		c := &caller{from: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}}
		return s.Enter(l, c), c
	}
	gone, goneConn := enter(one)
	stays, staysConn := enter(one)
	others, othersConn := enter(other)
	if !s.Leave(gone) {
		t.Error("the slot was not held")
	}
	s.Close(one)
	if goneConn.closed || !staysConn.closed || othersConn.closed {
		t.Errorf("closed: %v, %v, %v", goneConn.closed, staysConn.closed, othersConn.closed)
	}
	if s.Leave(stays) || !s.Leave(others) || s.Len() > 0 {
		t.Errorf("%d slots are held", s.Len())
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

//go:build unix

package sockets

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

const patience = 20 * time.Second

func ports(t *testing.T, private bool) *Ports {
	t.Helper()
	return PortsOf(conduit.Node{Shared: new(conduit.Shared), Private: private}, transporttest.Runtime(t))
}

// listening is a seat whose connections come on got. It accepts until the end of the test or Close.
type listening struct {
	*Seat
	got chan *net.TCPConn
}

func take(t *testing.T, p *Ports, at string, s Speech) *listening {
	t.Helper()
	seat, _, err := p.Listen("tcp4", at, 0, s)
	if err != nil {
		t.Fatal(err)
	}
	l := &listening{seat, make(chan *net.TCPConn, 64)}
	hand := func(nc *net.TCPConn) { l.got <- nc }
	seat.Serve(hand, func(pe *actors.PanicError) { t.Error(pe) })
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			nc, err := seat.AcceptTCP()
			if err != nil {
				return
			}
			if !seat.Divert(nc) {
				hand(nc)
			}
		}
	}()
	t.Cleanup(func() {
		_ = seat.Close()
		<-ended
		for len(l.got) > 0 {
			_ = (<-l.got).Close()
		}
	})
	return l
}

func (l *listening) next(t *testing.T) *net.TCPConn {
	t.Helper()
	select {
	case nc := <-l.got:
		t.Cleanup(func() { _ = nc.Close() })
		if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		return nc
	case <-time.After(patience):
		t.Fatal("nobody came")
		return nil
	}
}

func call(t *testing.T, at net.Addr, first string) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp4", at.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(nc, first); err != nil {
		t.Fatal(err)
	}
	return nc
}

func TestAPortIsSharedByTheFirstByte(t *testing.T) {
	p := ports(t, false)
	plain := take(t, p, "127.0.0.1:0", Bytes)
	at := plain.Addr()
	call(t, at, "") // alone, nobody is waited for
	plain.next(t)

	web, secure := take(t, p, at.String(), HTTP), take(t, p, at.String(), TLS)
	if web.Addr().String() != at.String() || secure.Addr().String() != at.String() {
		t.Errorf("bound to %s, %s and %s", at, web.Addr(), secure.Addr())
	}
	for range 8 { // whoever accepts it
		for first, to := range map[string]*listening{
			"\x13/multistream/1.0.0\n": plain, "GET / HTTP/1.1\r\n": web, "POST / HTTP/1.1\r\n": web, "\x16\x03\x01": secure,
			"get /": plain, "\x00\xff": plain,
		} {
			call(t, at, first)
			nc := to.next(t)
			got := make([]byte, len(first))
			if _, err := io.ReadFull(nc, got); err != nil || string(got) != first {
				t.Errorf("%q came as %q, %v", first, got, err)
			}
		}
	}
	if p.silent.Len() > 0 {
		t.Errorf("%d places are held", p.silent.Len())
	}

	// What is left takes all that come, and the port is free with the last.
	if err := errors.Join(plain.Close(), secure.Close(), plain.Close()); err == nil {
		t.Error("a second Close of the socket is none")
	}
	call(t, at, "\x16\x03\x01")
	web.next(t)
	again := take(t, p, at.String(), Bytes)
	call(t, at, "\x13")
	again.next(t)
	if err := errors.Join(again.Close(), web.Close()); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp4", at.String())
	if err != nil {
		t.Fatalf("the port is still taken: %v", err)
	}
	_ = l.Close()
}

func TestAPortIsNotSharedByThoseWhoAreSpokenToAlike(t *testing.T) {
	p := ports(t, false)
	l := take(t, p, "127.0.0.1:0", HTTP)
	if _, _, err := p.Listen("tcp4", l.Addr().String(), 0, HTTP); !errors.Is(err, ErrTaken) || !errors.Is(err, syscall.EADDRINUSE) {
		t.Error(err)
	}
	// Another node's is the system's to refuse.
	if _, _, err := ports(t, false).Listen("tcp4", l.Addr().String(), 0, Bytes); !errors.Is(err, syscall.EADDRINUSE) {
		t.Error(err)
	}
	// A port of another address is another port.
	_, port, _ := net.SplitHostPort(l.Addr().String())
	other := take(t, p, net.JoinHostPort("127.0.0.2", port), HTTP)
	call(t, other.Addr(), "")
	other.next(t)
}

func TestAPortIsNotSharedInAPrivateNetwork(t *testing.T) {
	p := ports(t, true)
	l := take(t, p, "127.0.0.1:0", Bytes)
	if _, _, err := p.Listen("tcp4", l.Addr().String(), 0, HTTP); !errors.Is(err, ErrUnshared) {
		t.Error(err)
	}
	call(t, l.Addr(), "GET / HTTP/1.1\r\n")
	l.next(t)
}

// Those who say nothing at a shared port are bounded in number and in time, and shut nobody out.
func TestWhoSaysNothingAtASharedPortIsBounded(t *testing.T) {
	p := ports(t, false)
	if p.silent.Max != MaxSilent || p.timeout != SilentTimeout {
		t.Errorf("%d may, for %s", p.silent.Max, p.timeout)
	}
	p.silent.Max = 8
	l := take(t, p, "127.0.0.1:0", Bytes)
	web := take(t, p, l.Addr().String(), HTTP)
	var silent []net.Conn
	for range 4 * p.silent.Max {
		silent = append(silent, call(t, l.Addr(), ""))
	}
	for i, nc := range silent[:3*p.silent.Max] { // they made room for the later ones
		if _, err := nc.Read(make([]byte, 1)); err == nil || errors.Is(err, syscall.EAGAIN) {
			t.Fatalf("connection %d: %v", i, err)
		}
	}
	if n := p.silent.Len(); n > p.silent.Max {
		t.Errorf("%d say nothing, at most %d may", n, p.silent.Max)
	}
	call(t, l.Addr(), "G")
	web.next(t)
	// The end of the port ends them.
	if err := errors.Join(l.Close(), web.Close()); err != nil {
		t.Fatal(err)
	}
	for i, nc := range silent {
		var late net.Error
		if _, err := nc.Read(make([]byte, 1)); errors.As(err, &late) && late.Timeout() {
			t.Fatalf("connection %d lives on", i)
		}
	}
	if n := p.silent.Len(); n > 0 {
		t.Errorf("%d places are held", n)
	}
}

func TestWhoSaysNothingAtASharedPortIsClosedInTime(t *testing.T) {
	p := ports(t, false)
	p.timeout = 20 * time.Millisecond
	l := take(t, p, "127.0.0.1:0", Bytes)
	take(t, p, l.Addr().String(), HTTP)
	nc := call(t, l.Addr(), "")
	if _, err := nc.Read(make([]byte, 1)); err == nil || errors.Is(err, syscall.EAGAIN) {
		t.Error(err)
	}
	if gone := call(t, l.Addr(), ""); gone.Close() != nil { // nor does one that leaves keep a place
		t.Error("it was closed before")
	}
}

func TestAnOwnerThatPanicsAtASharedPortHearsOfItself(t *testing.T) {
	p := ports(t, false)
	l := take(t, p, "127.0.0.1:0", Bytes)
	seat, _, err := p.Listen("tcp4", l.Addr().String(), 0, HTTP)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = seat.Close() })
	heard := make(chan *actors.PanicError, 1)
	seat.Serve(func(*net.TCPConn) { panic("a bug") }, func(pe *actors.PanicError) { heard <- pe })
	nc := call(t, l.Addr(), "G") // accepted by l: seat does not accept
	select {
	case pe := <-heard:
		if pe.Value != "a bug" {
			t.Error(pe)
		}
	case <-time.After(patience):
		t.Fatal("it hears nothing")
	}
	if _, err := nc.Read(make([]byte, 1)); err == nil {
		t.Error("the connection lives on")
	}
	call(t, l.Addr(), "\x13")
	l.next(t)
}

//go:build unix

package sockets

import (
	"errors"
	"net"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/internal/buf"
)

// taker is an Owner that nothing is offered to.
type taker struct{ t *testing.T }

func (taker) mayPoll() bool { return true }

func (k taker) offer(b *buf.Buf) {
	k.t.Errorf("%d bytes were offered", len(b.B))
	b.Release()
}

// A kernel reports a reset once. If who polls is the one to hear of it, the reader tells of it.
func TestAResetThatAPollHasHeardOfIsTheReadersToTell(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	k, err := newSock(near.(Socket))
	if err != nil {
		t.Fatal(err)
	}
	s := k.(*readySock)
	if err := errors.Join(far.(*net.TCPConn).SetLinger(0), far.Close()); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); s.lost == nil; runtime.Gosched() {
		if s.take(taker{t}) {
			t.Fatal("there was something to take")
		}
		if time.Now().After(end) {
			t.Fatal("no reset has come")
		}
	}
	if _, err := s.read(FirstRead); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the reader says %v", err)
	}
}

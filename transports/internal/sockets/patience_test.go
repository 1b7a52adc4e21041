package sockets

import (
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

func TestPatienceDoublesAndEndsAnEpisodeAfterAQuietSecond(t *testing.T) {
	var p Patience
	now := time.Unix(0, 0).Add(time.Hour)
	fails := func(want time.Duration, wantFirst bool) {
		t.Helper()
		wait, first := p.Failed(now)
		if wait != want || first != wantFirst {
			t.Fatalf("wait %s, first %v; want %s, %v", wait, first, want, wantFirst)
		}
		now = now.Add(wait)
	}
	fails(5*time.Millisecond, true)
	for w := 10 * time.Millisecond; w < lastWait; w *= 2 {
		fails(w, false)
	}
	fails(lastWait, false)
	fails(lastWait, false)
	p.Worked() // one descriptor came free, and is gone again
	fails(5*time.Millisecond, false)
	now = now.Add(2 * time.Second)
	fails(10*time.Millisecond, true)
}

func TestAcceptErrorsAreSorted(t *testing.T) {
	wrap := func(e error) error {
		return &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", e)}
	}
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EPROTO, syscall.EPERM} {
		if !Temporary(wrap(e)) {
			t.Errorf("%v ends the listener", e)
		}
	}
	for _, e := range []error{syscall.EBADF, syscall.EINVAL, syscall.ENOTSOCK, net.ErrClosed, io.ErrUnexpectedEOF} {
		if Temporary(wrap(e)) {
			t.Errorf("%v is retried", e)
		}
	}
}

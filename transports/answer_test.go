package transports

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/messages"
)

// faulty is an adapter's error.
type faulty struct {
	error
	remote bool
}

func (f *faulty) Unwrap() error  { return f.error }
func (f *faulty) ByRemote() bool { return f.remote }

func (f *faulty) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(f.error, &t) && t.Timeout()
}

func TestWhatADialTellsOfTheWay(t *testing.T) {
	const remote, local = true, false
	of := func(remote bool, err error) error { return &faulty{err, remote} }
	for _, c := range []struct {
		err  error
		want messages.Answer
	}{
		{nil, messages.Answered},
		{of(remote, syscall.ECONNREFUSED), messages.Answered},
		{of(remote, os.NewSyscallError("connect", syscall.ECONNREFUSED)), messages.Answered},
		{of(remote, &identity.MismatchError{}), messages.Answered},
		{of(remote, errors.New("an alert")), messages.Answered},
		{fmt.Errorf("wrapped: %w", of(remote, syscall.ECONNRESET)), messages.Answered},
		{of(remote, os.ErrDeadlineExceeded), messages.NoAnswer},
		{of(remote, context.DeadlineExceeded), messages.NoAnswer},
		{of(remote, syscall.ETIMEDOUT), messages.NoAnswer},
		{of(remote, syscall.EHOSTUNREACH), messages.NoAnswer},
		{of(remote, &net.DNSError{IsTimeout: true}), messages.NoAnswer},
		{errors.New("of a transport that says nothing"), messages.NoAnswer},
		{of(local, syscall.ENETUNREACH), messages.NotAsked},
		{of(local, context.Canceled), messages.NotAsked},
		{of(local, syscall.EMFILE), messages.NotAsked},
	} {
		if got := answerOf(c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
}

package tcp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"

	ma "github.com/multiformats/go-multiaddr"
)

// deafListener is an address whose kernel has no room for another connection and so does not
// answer: the accept queue is full.
func deafListener(t *testing.T) ma.Multiaddr {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	c, err := net.Dial("tcp", addr) // takes the only place
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	a, err := sockets.FromNetAddr(c.RemoteAddr())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestADialWithoutAnswerEndsInTime(t *testing.T) {
	silent := deafListener(t)
	tr := New(transporttest.Runtime(t), Config{DialTimeout: 30 * time.Millisecond})
	_, err := transporttest.Dial(t.Context(), tr, silent)
	var ne net.Error
	if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
		t.Errorf("err = %v", err)
	}
}

func TestACallersDeadlineIsTheCallersError(t *testing.T) {
	silent := deafListener(t)
	tr := New(transporttest.Runtime(t), Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := transporttest.Dial(ctx, tr, silent); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("err = %v", err)
	}
}

func TestACancelledDialEndsAtOnce(t *testing.T) {
	silent := deafListener(t)
	tr := New(transporttest.Runtime(t), Config{DialTimeout: time.Hour})
	ctx, cancel := context.WithCancelCause(t.Context())
	got := make(chan error, 1)
	tr.Dial(ctx, silent, "", func(_ conduit.Conduit, err error) { got <- err })
	why := errors.New("another address won")
	cancel(why)
	if err := <-got; !errors.Is(err, context.Canceled) || !errors.Is(err, why) {
		t.Errorf("err = %v", err)
	}
}

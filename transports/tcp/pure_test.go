package tcp

import (
	"errors"
	"net"
	"syscall"
	"testing"

	"github.com/troupe-p2p/troupe/transports/internal/fault"
)

func TestReadsGrowWithABurstAndShrinkAfterIt(t *testing.T) {
	s := sizer{size: firstRead, most: 64 << 10}
	step := func(n, want int) {
		t.Helper()
		s.took(n)
		if s.size != want {
			t.Fatalf("after %d bytes the next read is %d, want %d", n, s.size, want)
		}
	}
	step(100, 4<<10)
	step(4<<10, 64<<10)  // filled: more is waiting
	step(64<<10, 64<<10) // and more
	step(900, 64<<10)    // the end of what the sender had
	step(30<<10, 64<<10)
	for range backAfter - 1 {
		step(100, 64<<10)
	}
	step(100, 4<<10)
	step(100, 4<<10)
	step(4<<10, 64<<10)
}

func TestSmallReadBuffersAreObeyed(t *testing.T) {
	s := sizer{size: 512, most: 512}
	for range 10 {
		if s.took(512); s.size != 512 {
			t.Fatalf("reads of %d", s.size)
		}
	}
	for range 10 {
		if s.took(1); s.size != 512 {
			t.Fatalf("reads of %d", s.size)
		}
	}
}

func TestErrorsNameTheGuilty(t *testing.T) {
	for e, want := range map[error]fault.Origin{
		net.ErrClosed: fault.Local, syscall.EADDRINUSE: fault.Local, syscall.ENETUNREACH: fault.Local,
		syscall.EMFILE: fault.Limit, syscall.ENOBUFS: fault.Limit,
		syscall.ECONNREFUSED: fault.Remote, syscall.ECONNRESET: fault.Remote, syscall.EHOSTUNREACH: fault.Remote, syscall.EPIPE: fault.Remote,
	} {
		err := fail(origin(e), "dial", anyPort, &net.OpError{Op: "dial", Err: e})
		var te *Error
		if !errors.As(err, &te) || te.Origin != want || !errors.Is(err, e) {
			t.Errorf("%v: %v", e, err)
		}
	}
}

func TestBoundsSayWhatTheyStop(t *testing.T) {
	for _, b := range Bounds() {
		if b.Name == "" || b.Cap <= 0 || b.Attack == "" {
			t.Errorf("%+v", b)
		}
	}
}

package tcp

import (
	"errors"
	"net"
	"syscall"
	"testing"

	"github.com/troupe-p2p/troupe/transports/internal/fault"
)

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

package fault

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"testing"

	ma "github.com/multiformats/go-multiaddr"
)

func TestErrorNamesTheGuiltyTheDeedAndTheAddress(t *testing.T) {
	e := &Error{"tcp", Remote, "dial", ma.StringCast("/ip4/192.0.2.1/tcp/4001"), syscall.ECONNREFUSED}
	if got, want := e.Error(), "tcp: remote: dial /ip4/192.0.2.1/tcp/4001: connection refused"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	if !errors.Is(e, syscall.ECONNREFUSED) {
		t.Error("the cause is hidden")
	}
	var ne net.Error
	if !errors.As(e, &ne) || ne.Timeout() {
		t.Error("a refusal is not a timeout")
	}
	late := &Error{"tcp", Remote, "dial", e.Addr, os.ErrDeadlineExceeded}
	if !late.Timeout() || !late.Temporary() {
		t.Error("a timeout does not say so")
	}
	if full := (&Error{"tcp", Limit, "accept on", e.Addr, syscall.EMFILE}); !full.Temporary() {
		t.Error("a limit is not called temporary")
	}
}

func TestOriginsHaveNames(t *testing.T) {
	for o, want := range map[Origin]string{Local: "local", Remote: "remote", Limit: "limit", 0: "unknown"} {
		if o.String() != want {
			t.Errorf("%d is called %q, want %q", o, o, want)
		}
	}
}

func TestCanceledTellsErrorAndCause(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Canceled(ctx); err != context.Canceled {
		t.Errorf("without a cause: %v", err)
	}
	why := errors.New("the peer is connected already")
	ctx, stop := context.WithCancelCause(context.Background())
	stop(why)
	if err := Canceled(ctx); !errors.Is(err, context.Canceled) || !errors.Is(err, why) {
		t.Errorf("with a cause: %v", err)
	}
}

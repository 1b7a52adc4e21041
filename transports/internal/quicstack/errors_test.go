package quicstack

import (
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/troupe-p2p/troupe/transports/internal/fault"

	quicgo "github.com/quic-go/quic-go"
)

func TestErrorsSayWhoseFaultItIs(t *testing.T) {
	call := func(e syscall.Errno) error {
		return &net.OpError{Op: "write", Net: "udp", Err: os.NewSyscallError("sendmsg", e)}
	}
	for _, c := range []struct {
		err  error
		want fault.Origin
	}{
		{&quicgo.IdleTimeoutError{}, fault.Remote},
		{&quicgo.HandshakeTimeoutError{}, fault.Remote},
		{&quicgo.StatelessResetError{}, fault.Remote},
		{&quicgo.VersionNegotiationError{}, fault.Remote},
		{&quicgo.TransportError{Remote: true, ErrorCode: quicgo.ConnectionRefused}, fault.Remote},
		{&quicgo.TransportError{ErrorCode: quicgo.FlowControlError}, fault.Remote},
		{&quicgo.TransportError{ErrorCode: quicgo.InternalError}, fault.Local},
		{quicgo.ErrTransportClosed, fault.Local},
		{call(syscall.ENETUNREACH), fault.Local},
		{call(syscall.EADDRINUSE), fault.Local},
		{call(syscall.EHOSTUNREACH), fault.Remote},
		{call(syscall.EMFILE), fault.Limit},
		{call(syscall.ENOBUFS), fault.Limit},
	} {
		if got := OriginOf(c.err); got != c.want {
			t.Errorf("%v is %s's fault, want %s", c.err, got, c.want)
		}
	}
}

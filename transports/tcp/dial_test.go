package tcp

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/testkit/transporttest"

	ma "github.com/multiformats/go-multiaddr"
)

func mustAddr(s string) ma.Multiaddr { return ma.StringCast(s) }

func TestARefusedDialNamesTheRemote(t *testing.T) {
	tr := New(transporttest.Runtime(t), Config{})
	l, err := tr.Listen(anyPort, &transporttest.Acceptor{})
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	_, err = transporttest.Dial(t.Context(), tr, l.Addr())
	want := "tcp: remote: dial " + l.Addr().String() + ": connect: connection refused"
	if err == nil || err.Error() != want || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("err = %v, want %s", err, want)
	}
}

func TestAnUnreachableAddressKeepsItsErrno(t *testing.T) {
	tr := New(transporttest.Runtime(t), Config{DialTimeout: time.Second})
	// A zone that does not exist: the kernel has no such scope.
	_, err := transporttest.Dial(t.Context(), tr, mustAddr("/ip6zone/none0/ip6/fe80::1/tcp/1"))
	if err == nil {
		t.Fatal("it was reached")
	}
	var te *Error
	if !errors.As(err, &te) || te.Origin.String() != "local" {
		t.Errorf("err = %v", err)
	}
}

package troupe_test

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"

	troupe "github.com/troupe-p2p/troupe"

	manet "github.com/multiformats/go-multiaddr/net"
)

// TestB09NoDescriptors: connections that come while there is no descriptor wait in the kernel, are told of
// once, and are accepted when there is one. The memory transport and QUIC take none for a connection.
func TestB09NoDescriptors(t *testing.T) {
	for _, g := range streamGrounds(t)[:3] {
		t.Run(g.name, func(t *testing.T) { underAttack(t, g, withoutDescriptors) })
	}
}

func withoutDescriptors(t *testing.T, v *victim) {
	events := v.Subscribe(t.Context(), 0)
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
		t.Fatal(err)
	}
	few := lim
	few.Cur = uint64(descriptors(t) + 10)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
			t.Error(err)
		}
	}()
	var all []net.Conn
	defer func() {
		for _, c := range all {
			_ = c.Close()
		}
	}()
	to, err := manet.ToNetAddr(bare(t, v.ListenAddrs()[0]))
	if err != nil {
		t.Fatal(err)
	}
	for {
		c, err := net.Dial(to.Network(), to.String())
		if err != nil {
			if !errors.Is(err, syscall.EMFILE) {
				t.Fatal(err)
			}
			break
		}
		all = append(all, c)
	}
	// The last descriptor may have gone to an accept: then one that comes free leaves none for another.
	_ = all[0].Close()
	if c, err := net.Dial(to.Network(), to.String()); err == nil {
		all = append(all, c)
	}
	if e := next(t, events, troupe.EventListenError); !errors.Is(e.Err, syscall.EMFILE) {
		t.Errorf("%v", e.Err)
	}
}

// descriptors is how many are open.
func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

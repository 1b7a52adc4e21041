package tcp

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"
	"github.com/troupe-p2p/troupe/transports/internal/unsent"
)

func sockopt(t *testing.T, c *sockets.Conn, level, opt int) int {
	t.Helper()
	raw, err := socket(c).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	v := 0
	if err := raw.Control(func(fd uintptr) { v, err = syscall.GetsockoptInt(int(fd), level, opt) }); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSocketsHaveNoDelayAreProbedAndHoldLittle(t *testing.T) {
	a, b := pair(t, Config{})
	for _, c := range []*sockets.Conn{a, b} {
		defer func() { _ = c.Close() }()
		if sockopt(t, c, syscall.IPPROTO_TCP, syscall.TCP_NODELAY) == 0 {
			t.Error("small writes wait for Nagle")
		}
		if sockopt(t, c, syscall.SOL_SOCKET, syscall.SO_KEEPALIVE) == 0 {
			t.Error("nobody probes the connection")
		}
		if s := sockopt(t, c, syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE); s != 30 {
			t.Errorf("probed after %d s", s)
		}
		if n := sockopt(t, c, syscall.IPPROTO_TCP, unsent.Option); n != unsent.Max {
			t.Errorf("the kernel keeps up to %d bytes that it cannot send", n)
		}
	}
}

// fds counts the descriptors of this process.
func fds(t testing.TB) int {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(d)
}

func TestClosingInEveryStateLeavesNoDescriptor(t *testing.T) {
	tr := New(transporttest.Runtime(t), Config{})
	acc := &transporttest.Acceptor{}
	l, err := tr.Listen(anyPort, acc)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	before := fds(t)
	big := make([]byte, 8<<20)
	// What is done to the accepted end, by the number of the round; the other end is reset.
	states := []func(c conduit.Raw, s *transporttest.Sink){
		func(conduit.Raw, *transporttest.Sink) {},
		func(c conduit.Raw, s *transporttest.Sink) { c.Bind(s, 1) },
		func(c conduit.Raw, s *transporttest.Sink) { c.Bind(s, 1); _, _ = c.TryWrite(big) },
		func(c conduit.Raw, s *transporttest.Sink) { c.Bind(s, 1); c.Drain(big) },
		func(c conduit.Raw, s *transporttest.Sink) { c.Bind(s, 1); c.Bind(&transporttest.Sink{}, 5) },
		func(c conduit.Raw, s *transporttest.Sink) { _ = c.Close(); c.Bind(s, 1) },
		func(c conduit.Raw, s *transporttest.Sink) { c.Bind(s, 1); _ = c.Close(); c.More() },
	}
	for i := range 50 * len(states) {
		nc := knock(t, l)
		if i%3 == 0 {
			_, _ = nc.Write([]byte("hello"))
		}
		c := acc.Next(t, i).Raw
		states[i%len(states)](c, &transporttest.Sink{})
		if i%2 == 0 {
			_ = nc.(*net.TCPConn).SetLinger(0)
		}
		if i%5 < 3 {
			_ = nc.Close()
			_ = c.Close()
		} else {
			_ = c.Close()
			_ = nc.Close()
		}
	}
	if after := fds(t); after > before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}

func TestAnIdleConnectionHoldsNoBuffer(t *testing.T) {
	before := buf.Live()
	a, b := pair(t, Config{})
	s := &transporttest.Sink{}
	a.Bind(s, 2)
	b.Bind(&transporttest.Sink{}, 2)
	if n, err := b.TryWrite([]byte("x")); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	s.WaitBytes(t, "a byte", 1) // a's reader was through its first round
	transporttest.Settle(t, "buffers", int(before), func() int { return int(buf.Live()) })
	_ = a.Close()
	_ = b.Close()
}

const starvedEnv = "TROUPE_TEST_STARVED"

// TestAcceptingSurvivesAProcessWithoutDescriptors runs itself in a process of its own, whose
// limit it can lower.
func TestAcceptingSurvivesAProcessWithoutDescriptors(t *testing.T) {
	if os.Getenv(starvedEnv) != "" {
		starved(t)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), starvedEnv+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS")) {
		t.Fatalf("%v\n%s", err, out)
	}
}

func starved(t *testing.T) {
	tr := New(transporttest.Runtime(t), Config{})
	acc := &transporttest.Acceptor{}
	l, err := tr.Listen(anyPort, acc)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	// One connection from before the shortage.
	a, err := transporttest.Dial(t.Context(), tr, l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Abandon()
	b := acc.Next(t, 0)
	defer b.Abandon()
	got := &transporttest.Sink{}
	b.Raw.Bind(got, 100)

	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
		t.Fatal(err)
	}
	lim.Cur = uint64(fds(t) + 20)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
		t.Fatal(err)
	}
	var flood []conduit.Conduit
	for {
		c, err := transporttest.Dial(t.Context(), tr, l.Addr())
		if err != nil {
			var te *Error
			if !errors.Is(err, syscall.EMFILE) || !errors.As(err, &te) || te.Origin.String() != "limit" {
				t.Errorf("without descriptors a dial fails with %v", err)
			}
			break
		}
		flood = append(flood, c)
	}
	// Either a connection waits to be accepted, or the last accept took the last descriptor: then
	// a dial that gets a freed one leaves none for its counterpart.
	flood[0].Abandon()
	if c, err := transporttest.Dial(t.Context(), tr, l.Addr()); err == nil {
		flood = append(flood, c)
	}
	if err := acc.WaitDegraded(t, 1); !errors.Is(err, syscall.EMFILE) {
		t.Errorf("Degraded(%v)", err)
	}
	if n, err := a.Raw.TryWrite([]byte("alive")); n != 5 || err != nil {
		t.Errorf("the old connection: %d, %v", n, err)
	}
	got.WaitBytes(t, "bytes on the old connection", 5)

	cpu := cpuTime(t)
	idle := time.NewTimer(500 * time.Millisecond) // the shortage lasts; nothing is awaited
	<-idle.C
	if used := cpuTime(t) - cpu; used > 100*time.Millisecond {
		t.Errorf("%s of CPU in half a second of shortage", used)
	}

	accepted, _, _ := acc.Counts()
	released := time.Now()
	for _, c := range flood {
		c.Abandon()
	}
	for i := 1; i < accepted; i++ {
		acc.Next(t, i).Abandon()
	}
	c, err := transporttest.Dial(t.Context(), tr, l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abandon()
	ours := c.Endpoints().Local
	for i := accepted; ; i++ {
		d := acc.Next(t, i)
		d.Abandon()
		if d.Endpoints().Remote.Equal(ours) {
			break
		}
	}
	if took := time.Since(released); took > time.Second {
		t.Errorf("accepting began again after %s", took)
	}
	if _, failed, degraded := acc.Counts(); failed != 0 || degraded != 1 {
		t.Errorf("%d failures, %d reports of a shortage", failed, degraded)
	}
}

func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

package unix

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"

	ma "github.com/multiformats/go-multiaddr"
)

// place is a path for a socket, as short as a test may have one.
func place(t *testing.T) (string, ma.Multiaddr) {
	t.Helper()
	dir, err := os.MkdirTemp("", "u")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	return path, ma.StringCast("/unix/" + strings.TrimPrefix(filepath.ToSlash(path), "/"))
}

func listens(t *testing.T, cfg Config, at ma.Multiaddr) (conduit.Listener, *transporttest.Acceptor) {
	t.Helper()
	acc := &transporttest.Acceptor{}
	l, err := New(transporttest.Runtime(t), cfg).Listen(at, acc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l, acc
}

func gone(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

func origin(err error) fault.Origin {
	var e *Error
	if errors.As(err, &e) {
		return e.Origin
	}
	return 0
}

// leave makes the socket file of a program that was killed.
func leave(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAListenerRemovesItsFileAndNobodyElses(t *testing.T) {
	path, at := place(t)
	l, _ := listens(t, Config{}, at)
	if gone(path) || !l.Addr().Equal(at) {
		t.Fatalf("bound to %s", l.Addr())
	}
	if err := l.Close(); err != nil || !gone(path) {
		t.Errorf("after Close: %v, gone %v", err, gone(path))
	}
	l, _ = listens(t, Config{}, at)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	leave(t, path)
	if err := l.Close(); err != nil || gone(path) {
		t.Errorf("another's file: %v, gone %v", err, gone(path))
	}
}

func TestAStaleFileIsClearedAndALiveOneIsNot(t *testing.T) {
	path, at := place(t)
	leave(t, path)
	_, acc := listens(t, Config{}, at)
	_, err := New(transporttest.Runtime(t), Config{}).Listen(at, &transporttest.Acceptor{})
	if !errors.Is(err, ErrInUse) || origin(err) != fault.Local {
		t.Errorf("a second listener: %v", err)
	}
	acc.Next(t, 0).Abandon() // the look at whether it lives
	c, err := transporttest.Dial(t.Context(), New(transporttest.Runtime(t), Config{}), at)
	if err != nil {
		t.Fatal(err)
	}
	c.Abandon()
	acc.Next(t, 1).Abandon()
}

func TestWhatIsNoSocketStays(t *testing.T) {
	path, at := place(t)
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := New(transporttest.Runtime(t), Config{}).Listen(at, &transporttest.Acceptor{})
	if !errors.Is(err, ErrNotSocket) || origin(err) != fault.Local {
		t.Errorf("%v", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "precious" {
		t.Errorf("the file has %q", b)
	}
}

// Many that find the same stale file: one of them listens, and goes on doing so.
func TestOneOfManyTakesAStalePath(t *testing.T) {
	for range 20 {
		path, at := place(t)
		leave(t, path)
		tr := New(transporttest.Runtime(t), Config{})
		const many = 8
		var all sync.WaitGroup
		got := make(chan conduit.Listener, many)
		for range many {
			all.Go(func() {
				if l, err := tr.Listen(at, &abandons{}); err == nil {
					got <- l
				} else if !errors.Is(err, ErrInUse) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if len(got) != 1 {
			t.Fatalf("%d listeners", len(got))
		}
		c, err := transporttest.Dial(t.Context(), tr, at)
		if err != nil {
			t.Fatal(err)
		}
		c.Abandon()
		_ = (<-got).Close()
	}
}

type abandons struct{ transporttest.Acceptor }

func (*abandons) Accepted(c conduit.Conduit) { c.Abandon() }

func TestTheModeIsTheFiles(t *testing.T) {
	for cfg, want := range map[Config]fs.FileMode{{}: 0o600, {Mode: 0o666}: 0o666, {Mode: 0o660}: 0o660} {
		path, at := place(t)
		l, _ := listens(t, cfg, at)
		if is, err := os.Lstat(path); err != nil || is.Mode().Perm() != want {
			t.Errorf("%v, %v; want %v", is.Mode(), err, want)
		}
		_ = l.Close()
	}
}

func TestErrorsSayWhatIsWrong(t *testing.T) {
	tr := New(transporttest.Runtime(t), Config{})
	path, at := place(t)
	long := ma.StringCast("/unix/" + strings.Repeat("x", 200))
	for name, c := range map[string]struct {
		at     ma.Multiaddr
		want   error
		origin fault.Origin
		listen bool
	}{
		"nobody there":       {at, fs.ErrNotExist, fault.Remote, false},
		"too long to dial":   {long, ErrTooLong, fault.Local, false},
		"too long to listen": {long, ErrTooLong, fault.Local, true},
		"no directory":       {ma.StringCast(at.String() + "/none/s"), fs.ErrNotExist, fault.Local, true},
		"another address":    {ma.StringCast("/ip4/127.0.0.1/tcp/1"), ErrAddress, fault.Local, true},
		"no address":         {nil, ErrAddress, fault.Local, false},
	} {
		var err error
		if c.listen {
			_, err = tr.Listen(c.at, &transporttest.Acceptor{})
		} else {
			_, err = transporttest.Dial(t.Context(), tr, c.at)
		}
		if !errors.Is(err, c.want) || origin(err) != c.origin {
			t.Errorf("%s: %v", name, err)
		}
	}
	leave(t, path)
	if _, err := transporttest.Dial(t.Context(), tr, at); !errors.Is(err, syscall.ECONNREFUSED) || origin(err) != fault.Remote {
		t.Errorf("stale: %v", err)
	}
}

// A listener that does not come to accept: the system turns dials away at once, and we wait.
func TestADialWaitsForABusyListener(t *testing.T) {
	path, at := place(t)
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), path)
	nl, err := net.FileListener(f)
	_ = f.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nl.Close() }()
	tr := New(transporttest.Runtime(t), Config{DialTimeout: time.Second})
	var waiting []conduit.Conduit
	for { // until one of them finds the queue full
		c, err := transporttest.Dial(t.Context(), tr, at)
		if err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) || origin(err) != fault.Remote {
				t.Errorf("%v", err)
			}
			break
		}
		if waiting = append(waiting, c); len(waiting) > 100 {
			t.Fatal("the queue is never full")
		}
	}
	got := make(chan error, 1)
	tr.Dial(t.Context(), at, "", func(c conduit.Conduit, err error) {
		if err == nil {
			c.Abandon()
		}
		got <- err
	})
	for range len(waiting) + 1 {
		c, err := nl.Accept()
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
	if err := <-got; err != nil {
		t.Errorf("once there is room: %v", err)
	}
	for _, c := range waiting {
		c.Abandon()
	}
}

func TestAFatalAcceptErrorRemovesTheFile(t *testing.T) {
	path, at := place(t)
	acc := &transporttest.Acceptor{}
	l, err := New(transporttest.Runtime(t), Config{}).listen(at, acc)
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	l.Accept = func() (*net.UnixConn, error) { return nil, broken }
	l.Start()
	if err := acc.WaitFailed(t); !errors.Is(err, broken) || !gone(path) {
		t.Errorf("%v, gone %v", err, gone(path))
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

package unix

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// file is a bound socket and its name in the file system.
type file struct {
	l    *net.UnixListener
	path string
	is   fs.FileInfo
}

// turns is how often the lock of a directory is tried for, a millisecond apart. Whoever has it is
// done in a fraction of that; one who keeps it does not keep us out.
const turns = 50

// create binds a socket at path, or at a new name if that is a directory.
func create(random io.Reader, path string, mode fs.FileMode) (*file, error) {
	if is, err := os.Stat(path); err == nil && is.IsDir() {
		var tail [8]byte
		if _, err := io.ReadFull(random, tail[:]); err != nil {
			return nil, err
		}
		path = filepath.Join(path, hex.EncodeToString(tail[:])+".sock")
	}
	defer lock(filepath.Dir(path))()
	if err := clear(path); err != nil {
		return nil, err
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { premode(fd, mode) })
	}}
	l, err := lc.Listen(context.Background(), name, path)
	if err != nil {
		return nil, err
	}
	f := &file{l: l.(*net.UnixListener), path: path}
	f.l.SetUnlinkOnClose(false)
	if err = os.Chmod(path, mode); err == nil {
		f.is, err = os.Lstat(path)
	}
	if err != nil {
		_ = os.Remove(path)
		_ = f.l.Close()
		return nil, err
	}
	return f, nil
}

// clear removes a socket that nobody listens on any more.
func clear(path string) error {
	is, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case is.Mode().Type() != fs.ModeSocket:
		return ErrNotSocket
	}
	c, err := net.DialTimeout(name, path, time.Second)
	if err == nil {
		_ = c.Close()
		return ErrInUse
	}
	if !errors.Is(err, syscall.ECONNREFUSED) { // its listener is busy, or none of our business
		return fmt.Errorf("%w, as far as can be told: %w", ErrInUse, err)
	}
	return os.Remove(path)
}

// close removes the file, if it is still ours, and ends the listener.
func (f *file) close() error {
	if is, err := os.Lstat(f.path); err == nil && os.SameFile(is, f.is) {
		_ = os.Remove(f.path)
	}
	err := f.l.Close()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// lock keeps other processes from looking at the sockets of a directory while one of them is bound
// and does not listen yet. It is a courtesy: who gets no lock goes on without.
func lock(dir string) (unlock func()) {
	d, err := os.Open(dir)
	if err != nil {
		return func() {}
	}
	for range turns {
		if flock(d.Fd()) {
			break
		}
		timer := time.NewTimer(time.Millisecond)
		<-timer.C
	}
	return func() { _ = d.Close() }
}

//go:build unix

package sockets

import (
	"io"
	"net"
	"syscall"

	"github.com/troupe-p2p/troupe/internal/buf"
)

// readySock reads and writes when the socket is ready. The callbacks that syscall.RawConn wants
// are made once, their arguments and results go through fields: nothing is allocated for a read
// or a write. RawConn wakes a callback on the edge of readiness only, so each of them tries
// first and waits (by returning false) only after EAGAIN.
type readySock struct {
	end func(fd uintptr) error // what the end of the stream means

	// of read
	readable func(fd uintptr) bool
	size     int
	in       *buf.Buf
	inErr    error

	Writer
	drainable func(fd uintptr) bool
}

func newSock(nc Socket) (sock, error) {
	s := &readySock{end: endOf(nc)}
	if err := s.Writer.init(nc); err != nil {
		return nil, err
	}
	s.readable, s.drainable = s.onReadable, s.onDrainable
	return s, nil
}

func (s *readySock) read(size int) (*buf.Buf, error) {
	s.size = size
	err := s.raw.Read(s.readable)
	b := s.in
	s.in = nil
	if err == nil {
		err = s.inErr
	}
	return b, err
}

func (s *readySock) onReadable(fd uintptr) bool {
	b := buf.Get(s.size)
	for {
		n, err := syscall.Read(int(fd), b.B)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			b.Release() // an idle connection holds no buffer
			return false
		case err != nil:
			s.inErr = err
		case n == 0:
			s.inErr = s.end(fd)
		default:
			b.B = b.B[:n]
			s.in = b
			return true
		}
		b.Release()
		return true
	}
}

// endOf is how to tell what the end of a stream means.
func endOf(nc Socket) func(fd uintptr) error {
	if _, ok := nc.(*net.UnixConn); ok {
		return endingUnix
	}
	return ending
}

// endingUnix tells the end of one direction from that of both, after which a write of nothing fails
// too. The name of the peer stays.
func endingUnix(fd uintptr) error {
	if _, err := syscall.Write(int(fd), nil); err == syscall.EPIPE {
		return errHungUp
	}
	return io.EOF
}

// ending tells an orderly end from a reset. A kernel reports a reset to one call only; if that
// was a write, reads see the end of the stream. But we never end our direction before Close, so
// after an orderly end the socket still has a peer, and after a reset it has none.
func ending(fd uintptr) error {
	if _, err := syscall.Getpeername(int(fd)); err != nil {
		return syscall.ECONNRESET
	}
	return io.EOF
}

func endingOf(nc Socket) error {
	raw, err := nc.SyscallConn()
	if err != nil {
		return err
	}
	end, how := io.EOF, endOf(nc)
	if err := raw.Control(func(fd uintptr) { end = how(fd) }); err != nil {
		return err
	}
	return end
}

func (s *readySock) tryWrite(p []byte) (int, error) { return s.TryWrite(p) }

func (s *readySock) drain(p []byte) error {
	s.out, s.outErr = p, nil
	err := s.raw.Write(s.drainable)
	s.out = nil
	if err == nil {
		err = s.outErr
	}
	return err
}

func (s *readySock) onDrainable(fd uintptr) bool {
	for len(s.out) > 0 && s.outErr == nil {
		if !s.write(fd) {
			return false
		}
	}
	return true
}

//go:build unix

package sockets

import (
	"errors"
	"io"
	"net"
	"sync"
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
	barred   bool // somebody polls

	// of take
	takeable func(fd uintptr)
	got      *buf.Buf
	lost     error // what a read of take has heard of the end

	// taking is held from a read that brings bytes until they were offered. Behind it come the
	// Owner's deliver and mu. No callback waits for it.
	taking sync.Mutex

	Writer
	drainable func(fd uintptr) bool
}

func newSock(nc Socket) (sock, error) {
	s := &readySock{end: endOf(nc)}
	if err := s.Writer.init(nc); err != nil {
		return nil, err
	}
	s.readable, s.takeable, s.drainable = s.onReadable, s.onTakeable, s.onDrainable
	return s, nil
}

func (s *readySock) read(size int) (*buf.Buf, error) {
	s.size = size
	err := s.raw.Read(s.readable)
	for s.barred {
		s.awaitPoll()
		err = s.raw.Read(s.readable)
	}
	b := s.in
	s.in = nil
	if err == nil {
		err = s.inErr
	}
	return b, err
}

// awaitPoll waits for whoever polls, which no callback may.
func (s *readySock) awaitPoll() {
	s.taking.Lock()
	defer s.taking.Unlock()
	s.barred = false
}

func (s *readySock) onReadable(fd uintptr) bool {
	if !s.taking.TryLock() {
		// Whoever polls may be closing the socket in this moment, and that waits for callbacks.
		s.barred = true
		return true
	}
	if s.lost != nil {
		s.inErr = s.lost
		s.taking.Unlock()
		return true
	}
	b := buf.Get(s.size)
	n, err := readNow(fd, b.B)
	switch {
	case errors.Is(err, syscall.EAGAIN):
		s.taking.Unlock()
		b.Release() // an idle connection holds no buffer
		return false
	case err != nil:
		s.inErr = err
	case n == 0:
		s.inErr = s.end(fd)
	default:
		b.B = b.B[:n]
		s.in = b
		return true // offered unlocks
	}
	s.taking.Unlock()
	b.Release()
	return true
}

func (s *readySock) offered() { s.taking.Unlock() }

// take implements polled. The end is the reader's to tell, which has been woken for it.
func (s *readySock) take(p polling) bool {
	if !s.taking.TryLock() {
		return false
	}
	defer s.taking.Unlock()
	if !p.mayPoll() || s.raw.Control(s.takeable) != nil || s.got == nil {
		return false
	}
	b := s.got
	s.got = nil
	p.offer(b)
	return true
}

func (s *readySock) onTakeable(fd uintptr) {
	b := buf.Get(FirstRead)
	n, err := readNow(fd, b.B)
	if n > 0 {
		b.B = b.B[:n]
		s.got = b
		return
	}
	b.Release()
	if err != nil && !errors.Is(err, syscall.EAGAIN) && s.lost == nil {
		s.lost = err // a kernel reports a reset once
	}
}

func readNow(fd uintptr, p []byte) (int, error) {
	for {
		if n, err := syscall.Read(int(fd), p); err != syscall.EINTR {
			return n, err
		}
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

//go:build unix

package sockets

import (
	"io"
	"net"
	"os"
	"syscall"
)

// again makes another listener of the socket that nl has.
func again(nl *net.TCPListener) (*net.TCPListener, error) {
	raw, err := nl.SyscallConn()
	if err != nil {
		return nil, err
	}
	var fd int
	var failed error
	err = raw.Control(func(of uintptr) {
		syscall.ForkLock.RLock()
		defer syscall.ForkLock.RUnlock()
		if fd, failed = syscall.Dup(int(of)); failed == nil {
			syscall.CloseOnExec(fd)
		}
	})
	if err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, os.NewSyscallError("dup", failed)
	}
	f := os.NewFile(uintptr(fd), "") // it leaves the socket non-blocking, as that of TCPListener.File would not
	defer func() { _ = f.Close() }()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	return l.(*net.TCPListener), nil
}

// peek waits for the first byte and leaves it where it is.
func peek(nc *net.TCPConn) (byte, error) {
	raw, err := nc.SyscallConn()
	if err != nil {
		return 0, err
	}
	var first [1]byte
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		for {
			var n int
			n, _, failed = syscall.Recvfrom(int(fd), first[:], syscall.MSG_PEEK)
			switch {
			case failed == syscall.EINTR:
				continue
			case failed == syscall.EAGAIN:
				return false
			case failed == nil && n == 0:
				failed = io.EOF
			}
			return true
		}
	})
	if err == nil {
		err = failed
	}
	return first[0], err
}

//go:build unix

package quicstack

import (
	"errors"
	"net"
	"syscall"
)

// bufferSizes are what the system has granted, in bytes.
func bufferSizes(pc *net.UDPConn) (receive, send int, err error) {
	raw, err := pc.SyscallConn()
	if err != nil {
		return 0, 0, err
	}
	var inner error
	err = raw.Control(func(fd uintptr) {
		var second error
		receive, inner = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF)
		send, second = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF)
		inner = errors.Join(inner, second)
	})
	return receive, send, errors.Join(err, inner)
}

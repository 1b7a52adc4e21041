//go:build linux || darwin

package unsent

import (
	"net"
	"syscall"
)

// Max is the bound, in bytes.
const Max = 64 << 10

// Bound sets the bound. A socket that is gone already says so when it is used.
func Bound(nc *net.TCPConn) {
	if raw, err := nc.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, Option, Max)
		})
	}
}

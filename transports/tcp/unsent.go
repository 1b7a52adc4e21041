//go:build linux || darwin

package tcp

import (
	"net"
	"syscall"
)

// maxUnsent is how many bytes the kernel keeps for a connection that it cannot send yet. With more a
// write finds the socket full. What waits there can no longer be overtaken, a ping or the first
// bytes of another stream among it, and the kernel's own bound grows to 4 MiB. What is sent and not
// acknowledged does not count, so a long path stays full.
const maxUnsent = 64 << 10

// boundUnsent sets the bound. A socket that is gone already says so when it is used.
func boundUnsent(nc *net.TCPConn) {
	if raw, err := nc.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, optUnsent, maxUnsent)
		})
	}
}

//go:build !linux && !darwin

package unsent

import "net"

// Bound does nothing: there is no such bound here.
func Bound(*net.TCPConn) {}

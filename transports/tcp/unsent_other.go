//go:build !linux && !darwin

package tcp

import "net"

// boundUnsent does nothing: there is no such bound here.
func boundUnsent(*net.TCPConn) {}

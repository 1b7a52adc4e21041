// Package sockets is what the transports have in common that use sockets: whose fault an error is, how large a read,
// and how long to wait after an accept that failed.
package sockets

import (
	"errors"
	"net"
	"syscall"
)

// Ours says that it is this machine that refuses, and not the other end or the network.
func Ours(err error) bool {
	if errors.Is(err, net.ErrClosed) {
		return true
	}
	for _, e := range ourErrnos {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// ourErrnos do not come from the network: the address, the route or the right is missing here.
var ourErrnos = []error{
	syscall.EADDRINUSE, syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT, syscall.EACCES, syscall.EPERM,
	syscall.ENETUNREACH, syscall.ENETDOWN, syscall.EINVAL, syscall.EBADF,
}

// Exhausted says that this process or machine has no descriptors or no memory for sockets.
func Exhausted(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

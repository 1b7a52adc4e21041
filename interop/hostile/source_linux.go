package main

import "syscall"

// shareEphemeralPorts lets the kernel choose the port at connect, by the whole four-tuple. Bound
// earlier, a source address would run out of ports during a long flood.
func shareEphemeralPorts(_, _ string, c syscall.RawConn) error {
	const bindAddressNoPort = 24 // IP_BIND_ADDRESS_NO_PORT
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, bindAddressNoPort, 1)
	})
	if err != nil {
		return err
	}
	return failed
}

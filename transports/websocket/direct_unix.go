//go:build unix

package websocket

import (
	"net"
	"syscall"
)

// direct writes what fits into a socket at once. The callback that syscall.RawConn wants is made
// once, its arguments and results go through fields.
type direct struct {
	raw      syscall.RawConn
	writable func(fd uintptr) bool
	out      []byte
	err      error
}

// newDirect is nil if nc is not a plain socket.
func newDirect(nc net.Conn) *direct {
	tc, ok := nc.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tc.SyscallConn()
	if err != nil {
		return nil // whoever writes sees why
	}
	d := &direct{raw: raw}
	d.writable = d.onWritable
	return d
}

func (d *direct) write(p []byte) (int, error) {
	d.out, d.err = p, nil
	err := d.raw.Write(d.writable)
	n := len(p) - len(d.out)
	d.out = nil
	if err == nil {
		err = d.err
	}
	return n, err
}

// onWritable does not try again after a write that took less than it was given: that is how a
// full socket answers.
func (d *direct) onWritable(fd uintptr) bool {
	for {
		n, err := syscall.Write(int(fd), d.out)
		switch err {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
		case nil:
			d.out = d.out[n:]
		default:
			d.err = err
		}
		return true
	}
}

//go:build unix

package sockets

import "syscall"

// Writer writes to a socket what fits at once.
type Writer struct {
	raw      syscall.RawConn
	writable func(fd uintptr) bool
	out      []byte
	outErr   error
}

// NewWriter is nil where every write has to wait.
func NewWriter(nc Socket) *Writer {
	w := &Writer{}
	if w.init(nc) != nil {
		return nil // whoever writes sees why
	}
	return w
}

func (w *Writer) init(nc Socket) error {
	raw, err := nc.SyscallConn()
	w.raw, w.writable = raw, w.onWritable
	return err
}

// TryWrite returns how many bytes the socket took.
func (w *Writer) TryWrite(p []byte) (int, error) {
	w.out, w.outErr = p, nil
	err := w.raw.Write(w.writable)
	n := len(p) - len(w.out)
	w.out = nil
	if err == nil {
		err = w.outErr
	}
	return n, err
}

// onWritable does not try again after a write that took less than it was given: that is how a
// full socket answers.
func (w *Writer) onWritable(fd uintptr) bool {
	_ = w.write(fd)
	return true
}

// write writes once; false means that the socket was full.
func (w *Writer) write(fd uintptr) bool {
	for {
		n, err := syscall.Write(int(fd), w.out)
		switch err {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return false
		case nil:
			w.out = w.out[n:]
		default:
			w.outErr = err
		}
		return true
	}
}

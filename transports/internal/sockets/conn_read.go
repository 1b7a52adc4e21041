package sockets

import (
	"errors"
	"io"
	"syscall"
	"time"

	"github.com/troupe-p2p/troupe/internal/buf"
)

// Next implements Line.
func (l *line) Next(size int) (*buf.Buf, error) {
	c := (*Conn)(l)
	b, err := c.sock.read(size)
	switch {
	case err == nil:
		c.reads.Add(1)
		if !c.awake.Swap(true) {
			c.rests.add(c)
		}
		return b, nil
	case toRest(err):
		_ = c.nc.SetReadDeadline(time.Time{}) // it fails if the connection is gone; so will the read
		return nil, errRest
	case errors.Is(err, errHungUp):
		err = c.hungUp()
	}
	return nil, c.why("read from", err)
}

// hungUp is what it means that the remote has closed a socket of which the system reports a reset
// once, and perhaps to a write: that it was a reset, if there was something to write.
func (c *Conn) hungUp() error {
	if c.lost.Load() || c.owner.Draining() {
		return syscall.ECONNRESET
	}
	return io.EOF
}

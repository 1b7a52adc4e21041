package sockets

import (
	"errors"
	"io"
	"net"

	"github.com/troupe-p2p/troupe/internal/buf"
)

// sock is what differs between systems. read is called by one goroutine, drain and tryWrite
// never at the same time. Closing the connection ends all three.
type sock interface {
	// read waits for bytes and returns at most size of them.
	read(size int) (*buf.Buf, error)
	// tryWrite writes what fits at once.
	tryWrite(p []byte) (int, error)
	// drain writes all of p and waits as long as that takes.
	drain(p []byte) error
}

// polled is a sock that can be read without waiting.
type polled interface {
	// offered follows each read that has brought something, once that was offered.
	offered()
	// take has p offer what can be read at once, and says whether there was anything. It does nothing
	// while what was read before is being offered.
	take(p polling) bool
}

// polling is an Owner, as a sock sees it.
type polling interface {
	mayPoll() bool
	offer(b *buf.Buf)
}

// errHungUp of a sock's read: the remote has closed both directions, and the system does not say
// whether it has read all that was sent to it.
var errHungUp = errors.New("the remote has hung up")

// waitingSock is for systems on which a socket cannot be asked whether it is ready: a read holds
// its buffer while it waits, and every write is a drain.
type waitingSock struct{ nc net.Conn }

func (s *waitingSock) read(size int) (*buf.Buf, error) {
	b := buf.Get(size)
	n, err := s.nc.Read(b.B)
	if n > 0 {
		b.B = b.B[:n]
		return b, nil // an error that came with bytes comes again
	}
	b.Release()
	if own, ok := innermost(s.nc).(Socket); ok && errors.Is(err, io.EOF) {
		err = endingOf(own)
	}
	return nil, err
}

func (s *waitingSock) tryWrite([]byte) (int, error) { return 0, nil }

func (s *waitingSock) drain(p []byte) error {
	_, err := s.nc.Write(p)
	return err
}

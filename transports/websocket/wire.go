package websocket

import (
	"net"
	"time"
)

// wire is the connection as the library sees it. In the handshake it is the real one, but for the
// length of the header; after that writes go to the queue and never block. The library's deadlines
// mean nothing: those of the handshake are set on the socket, and there are no others.
type wire struct {
	nc    net.Conn // TCP, or TLS over it
	queue *queue   // nil in the handshake
	left  int      // in the handshake: bytes that may still be read

	// The reader's:
	toll    toll
	readErr error // why there is nothing more
}

var _ net.Conn = (*wire)(nil)

func (w *wire) Read(p []byte) (int, error) {
	shaking := w.queue == nil
	switch {
	case shaking && w.left <= 0:
		w.readErr = errHeader
	case shaking:
		p = p[:min(len(p), w.left)]
	case w.toll.over(w.queue.rt.Now):
		w.readErr = ErrEmpty
	}
	if w.readErr != nil {
		return 0, w.readErr
	}
	n, err := w.nc.Read(p)
	if w.readErr = err; shaking {
		w.left -= n
	} else {
		w.toll.came(n)
	}
	return n, err
}

func (w *wire) Write(p []byte) (int, error) {
	if w.queue == nil {
		return w.nc.Write(p)
	}
	return w.queue.add(p)
}

func (w *wire) Close() error                     { return w.nc.Close() }
func (w *wire) LocalAddr() net.Addr              { return w.nc.LocalAddr() }
func (w *wire) RemoteAddr() net.Addr             { return w.nc.RemoteAddr() }
func (w *wire) SetDeadline(time.Time) error      { return nil }
func (w *wire) SetReadDeadline(time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

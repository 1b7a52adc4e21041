package webtransport

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/troupe-p2p/troupe/internal/clean"
	"github.com/troupe-p2p/troupe/transports/internal/fault"
	"github.com/troupe-p2p/troupe/transports/internal/quicstack"

	quicgo "github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

const (
	// glance is how long the pump that accepts streams waits for the head of one, which mostly comes
	// with the stream. Who is slower gets a pump of its own.
	glance = 200 * time.Microsecond
	// farewell is how long we wait for a remote to take leave as well. The QUIC stack drops what it
	// has not sent when it closes a connection, a session's last word among it.
	farewell = 250 * time.Millisecond
	// young is how long a server may still have our last word of Noise before it: if the connection
	// ended first, nobody there would hear that it was. It gets a longer farewell.
	young = time.Second
)

// session is the one session of a connection: the layer between QUIC and libp2p's streams.
type session struct {
	qc   *quicgo.Conn
	str  connectStream // of CONNECT; capsules go over it
	id   uint64        // the stream's
	wait time.Duration // for the head of a stream
	born time.Time     // at a client
	gone chan struct{} // closed when the session was watched to its end
}

var _ quicstack.Layer = (*session)(nil)

// connectStream is *http3.Stream at a server, *http3.RequestStream at a client.
type connectStream interface {
	io.Reader
	TryWriteAll(p []byte) error
	Close() error
}

func (t *Transport) session(qc *quicgo.Conn, str connectStream, id quicgo.StreamID) *session {
	return &session{qc: qc, str: str, id: uint64(id), wait: t.cfg.headTimeout, gone: make(chan struct{})}
}

// Accept implements quicstack.Layer.
func (s *session) Accept(c *quicstack.Conn) {
	for {
		qs, err := s.qc.AcceptStream(context.Background())
		if err != nil {
			return
		}
		if !s.sort(c, qs, glance) {
			c.Pump("head", func() {
				if !s.sort(c, qs, s.wait) {
					s.refuse(c, qs, errRejectedStream)
				}
			})
		}
	}
}

// sort finds out whose a stream is; false if it does not say so within the time.
func (s *session) sort(c *quicstack.Conn, qs *quicgo.Stream, within time.Duration) bool {
	_ = qs.SetReadDeadline(time.Now().Add(within))
	h, err := readHead(qs)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return false
	case err != nil:
		s.refuse(c, qs, errRejectedStream)
	case h.request: // this server serves no pages, and a second session would be nobody's
		s.refuse(c, qs, quicgo.StreamErrorCode(http3.ErrCodeRequestRejected))
	case h.session != s.id:
		s.refuse(c, qs, errRejectedStream)
	default:
		_ = qs.SetReadDeadline(time.Time{})
		c.Accepted(qs)
	}
	return true
}

// refuse lets go of a stream that is no one's. Who opens many of them loses the connection.
func (s *session) refuse(c *quicstack.Conn, qs *quicgo.Stream, code quicgo.StreamErrorCode) {
	drop(qs, code)
	c.Wasted()
}

func drop(qs *quicgo.Stream, code quicgo.StreamErrorCode) {
	qs.CancelWrite(code)
	qs.CancelRead(code)
}

// Head implements quicstack.Layer.
func (s *session) Head() []byte { return appendHead(make([]byte, 0, 10), s.id) }

// StreamCode implements quicstack.Layer.
func (*session) StreamCode(code uint32) quicgo.StreamErrorCode {
	return quicgo.StreamErrorCode(toWire(code))
}

// FromStreamCode implements quicstack.Layer: HTTP/3's own codes mean nothing to libp2p.
func (*session) FromStreamCode(code quicgo.StreamErrorCode) uint32 {
	n, _ := fromWire(uint64(code))
	return n
}

// FromConnCode implements quicstack.Layer.
func (*session) FromConnCode(code quicgo.ApplicationErrorCode) uint32 {
	n, _ := fromWire(uint64(code))
	return n
}

// Close implements quicstack.Layer. The code goes twice: over the session, for those who look there, and
// with the end of the connection, which nobody has to wait for.
func (s *session) Close(c *quicstack.Conn, why quicstack.Ending, reason string) {
	if why.Remote {
		_ = s.qc.CloseWithError(quicgo.ApplicationErrorCode(http3.ErrCodeNoError), "")
		return
	}
	c.LoseAll() // now, not behind the wait
	if s.str.TryWriteAll(closeCapsule(why.Code, reason)) == nil {
		_ = s.str.Close()
		wait := farewell
		if time.Since(s.born) < young {
			wait *= 3
		}
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-s.gone:
		case <-s.qc.Context().Done():
		case <-timer.C:
		}
	}
	_ = s.qc.CloseWithError(s.connCode(why.Code), reason)
}

// connCode is the way of FromConnCode's codes.
func (*session) connCode(code uint32) quicgo.ApplicationErrorCode {
	return quicgo.ApplicationErrorCode(toWire(code))
}

// watch waits for the end of the session, and tells it if it is not that of the connection.
func (s *session) watch(c *quicstack.Conn) {
	defer close(s.gone)
	code, reason, err := readClose(s.str)
	var reset *quicgo.StreamError
	switch {
	case err == nil, errors.Is(err, io.EOF):
		c.Closed(code, clean.Text(reason, clean.MaxError))
	case errors.As(err, &reset):
		c.Closed(0, "the session was reset")
	case errors.Is(err, errCapsule), errors.Is(err, io.ErrUnexpectedEOF):
		err := fail(fault.Remote, "talk to", c.Endpoints().Remote, clean.Error(err))
		c.End(&quicstack.Ending{Err: err}, "")
	}
}

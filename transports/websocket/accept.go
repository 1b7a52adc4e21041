package websocket

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// serve takes a connection that was accepted, by whomever, through its handshakes and hands it over.
// It returns at once.
func (l *listener) serve(nc net.Conn) {
	s := l.t.slots.Enter(l, nc)
	if l.Closed() { // perhaps Close was there before enter
		l.t.slots.Leave(s)
		_ = nc.Close()
		return
	}
	var c *conn
	l.t.rt.Pump(name+" handshake "+nc.RemoteAddr().String(), func() {
		defer l.t.slots.Leave(s)
		var err error
		if c, err = l.handshake(nc); err != nil {
			_ = nc.Close() // whose fault it is, is told to the remote only: there is nobody else yet
			return
		}
		if !l.t.slots.Leave(s) {
			_ = c.Reset()
			return
		}
		l.Sink.Accepted(conduit.Conduit{Raw: c})
	}, func(pe *actors.PanicError) {
		if c == nil { // a bug in the handshake costs this connection
			_ = nc.Close()
			return
		}
		_ = c.Close()
		l.Broke(pe)
	})
}

// handshake is one deadline for TLS, the request and the answer.
func (l *listener) handshake(nc net.Conn) (*conn, error) {
	if err := nc.SetDeadline(time.Now().Add(l.t.cfg.HandshakeTimeout)); err != nil {
		return nil, err
	}
	w := &wire{nc: nc, left: maxHeader}
	if l.target.secure {
		tc := tls.Server(nc, l.tls)
		if err := tc.Handshake(); err != nil {
			return nil, err
		}
		w.nc = tc
	}
	rw := bufio.NewReadWriter(bufio.NewReaderSize(w, frameRead), bufio.NewWriterSize(w, frameRead))
	ws, err := l.upgrade(w, rw)
	if err != nil {
		return nil, err
	}
	if err := nc.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	ends, err := l.endpoints(nc)
	if err != nil {
		return nil, err
	}
	return l.t.newConn(ws, w, nc, ends), nil
}

// upgrade reads the request and answers it. RFC 6455 section 4.2.
func (l *listener) upgrade(w *wire, rw *bufio.ReadWriter) (*websocket.Conn, error) {
	a := &answer{wire: w, rw: rw, header: http.Header{}}
	r, err := http.ReadRequest(rw.Reader)
	if err != nil {
		if w.readErr != nil { // the parser may prefer to complain of the line that was cut
			err = w.readErr
		}
		if code := refusal(err); code != 0 {
			a.refuse(code)
		}
		return nil, err
	}
	switch {
	case l.target.path != "" && r.URL.Path != l.target.path:
		a.refuse(http.StatusNotFound)
		return nil, ErrRefused
	case !websocket.IsWebSocketUpgrade(r):
		a.header.Set("Upgrade", "websocket")
		a.header.Set("Sec-Websocket-Version", "13")
		a.refuse(http.StatusUpgradeRequired)
		return nil, ErrRefused
	}
	u := websocket.Upgrader{
		WriteBufferPool: &serverBuffers, WriteBufferSize: serverBuffer,
		// A page of any origin may connect: who is there is proved inside, and nothing depends on cookies.
		CheckOrigin: func(*http.Request) bool { return true },
	}
	ws, err := u.Upgrade(a, r, nil)
	if err != nil && !a.taken {
		a.send()
	}
	return ws, err
}

// refusal is the answer to what is no request; 0: nobody is there to hear it.
func refusal(err error) int {
	var ne net.Error
	switch {
	case errors.Is(err, errHeader):
		return http.StatusRequestHeaderFieldsTooLarge
	case errors.As(err, &ne), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return 0
	}
	return http.StatusBadRequest
}

// answer is the http.ResponseWriter of one request.
type answer struct {
	wire   *wire
	rw     *bufio.ReadWriter
	header http.Header
	code   int
	body   bytes.Buffer
	taken  bool // by Hijack
}

var _ http.Hijacker = (*answer)(nil)

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(code int)        { a.code = code }
func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }

func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	a.taken = true
	return a.wire, a.rw, nil
}

func (a *answer) refuse(code int) {
	http.Error(a, http.StatusText(code), code)
	a.send()
}

// send writes an answer that is the last one. A write that fails has no one to be told of.
func (a *answer) send() {
	r := http.Response{
		StatusCode: a.code, ProtoMajor: 1, ProtoMinor: 1, Header: a.header, Close: true,
		Body: io.NopCloser(&a.body), ContentLength: int64(a.body.Len()),
	}
	var all bytes.Buffer
	if err := r.Write(&all); err == nil {
		_, _ = a.wire.nc.Write(all.Bytes())
	}
	if tc, ok := a.wire.nc.(*tls.Conn); ok {
		_ = tc.CloseWrite()
	}
}

// The library borrows a buffer for each message that it frames. A server's takes the head and a small
// message; the rest of a large one goes straight into the queue. A client's takes a whole message,
// which has to be masked, so that a message is one frame.
const (
	serverBuffer = 1 << 10
	clientBuffer = queueData
)

var serverBuffers, clientBuffers sync.Pool

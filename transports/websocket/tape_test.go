package websocket

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/transports/conduit"
)

// tape is a connection to a remote that says what it has to say and never listens. A read does not
// go beyond the end of a part, so that a request and the frames behind it come apart.
type tape struct {
	parts  [][]byte
	answer func(key string) string // the first part, made for the request
	out    bytes.Buffer
	read   int
}

var _ net.Conn = (*tape)(nil)

func (t *tape) Read(p []byte) (int, error) {
	for len(t.parts) > 0 && len(t.parts[0]) == 0 {
		t.parts = t.parts[1:]
	}
	if len(t.parts) == 0 {
		return 0, io.EOF
	}
	n := copy(p, t.parts[0])
	t.parts[0] = t.parts[0][n:]
	t.read += n
	return n, nil
}

func (t *tape) Write(p []byte) (int, error) {
	if t.answer != nil {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(p)))
		if err != nil {
			return 0, err
		}
		t.parts = append([][]byte{[]byte(t.answer(r.Header.Get("Sec-WebSocket-Key")))}, t.parts...)
		t.answer = nil
	}
	return t.out.Write(p)
}

func (t *tape) Close() error                     { return nil }
func (t *tape) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
func (t *tape) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 2} }
func (t *tape) SetDeadline(time.Time) error      { return nil }
func (t *tape) SetReadDeadline(time.Time) error  { return nil }
func (t *tape) SetWriteDeadline(time.Time) error { return nil }

// upgrades is a listener's part in the handshake with a tape.
func upgrades(tr *Transport, tp *tape) (*conn, error) {
	w := &wire{nc: tp, left: maxHeader}
	ws, err := (&listener{t: tr}).upgrade(w, bufio.NewReadWriter(bufio.NewReaderSize(w, frameRead), bufio.NewWriterSize(w, frameRead)))
	if err != nil {
		return nil, err
	}
	return tr.newConn(ws, w, tp, conduit.Endpoints{Remote: anyPort}), nil
}

// plays makes the end of a connection whose remote sends frames.
func plays(tb testing.TB, tr *Transport, dialled bool, frames []byte) (*conn, *tape) {
	tb.Helper()
	var c *conn
	tp := &tape{parts: [][]byte{frames}}
	if dialled {
		tp.answer = func(key string) string { return accepted(key, "") }
		ws, w, err := tr.handshake(tp, target{address: "stranger.example:80", host: "stranger.example", named: true})
		if err != nil {
			tb.Fatal(err)
		}
		c = tr.newConn(ws, w, tp, conduit.Endpoints{Remote: anyPort})
	} else {
		tp.parts = append([][]byte{[]byte(asked + upgrading + "\r\n")}, tp.parts...)
		var err error
		if c, err = upgrades(tr, tp); err != nil {
			tb.Fatal(err)
		}
	}
	tp.read = 0
	tb.Cleanup(func() { _ = c.Reset() })
	return c, tp
}

// readAll reads to the end, whatever that is, in pieces of at most size bytes.
func readAll(c *conn, size int) ([]byte, error) {
	var all []byte
	for {
		b, err := (*line)(c).Next(size)
		if err != nil {
			return all, err
		}
		all = append(all, b.B...)
		b.Release()
	}
}

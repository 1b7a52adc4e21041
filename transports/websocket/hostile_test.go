package websocket

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/troupe-p2p/troupe/internal/clean"
	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/internal/fault"

	ma "github.com/multiformats/go-multiaddr"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

func serves(t *testing.T, cfg Config, at ma.Multiaddr) (*listener, *transporttest.Acceptor) {
	t.Helper()
	acc := &transporttest.Acceptor{}
	l, err := New(transporttest.Runtime(t), cfg).Listen(at, acc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.(*listener), acc
}

// knock is a stranger's TCP connection.
func knock(t *testing.T, l *listener) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", l.seat.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return nc
}

// visit is a stranger's WebSocket, and our end of it with an owner who takes everything.
func visit(t *testing.T, cfg Config) (*websocket.Conn, *conn, *transporttest.Sink) {
	t.Helper()
	l, acc := serves(t, cfg, anyPort)
	d := websocket.Dialer{NetDial: func(string, string) (net.Conn, error) { return knock(t, l), nil }, WriteBufferSize: 256}
	ws, r, err := d.Dial("ws://stranger.example/", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	t.Cleanup(func() { _ = ws.Close() })
	c := acc.Next(t, 0).Raw.(*conn)
	t.Cleanup(func() { _ = c.Close() })
	s := &transporttest.Sink{}
	c.Bind(s, 1<<20)
	return ws, c, s
}

func origins(err error) fault.Origin {
	var e *Error
	if errors.As(err, &e) {
		return e.Origin
	}
	return 0
}

// asked and upgrading are a whole request, but for the empty line.
const (
	asked     = "GET / HTTP/1.1\r\nHost: a\r\n"
	upgrading = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)

func TestWhatIsNoWebSocketIsAnswered(t *testing.T) {
	for _, c := range []struct {
		name, sent string
		code       int
	}{
		{"a browser's request", asked + "\r\n", http.StatusUpgradeRequired},
		{"another protocol", "\x13/multistream/1.0.0\n", http.StatusBadRequest},
		{"noise", "\x00\x01\x02\n\xff\xfe\n\n", http.StatusBadRequest},
		{"a method that carries no WebSocket", strings.Replace(asked, "GET", "POST", 1) + upgrading + "\r\n", http.StatusMethodNotAllowed},
		{"another version", asked + strings.Replace(upgrading, "13", "8", 1) + "\r\n", http.StatusBadRequest},
		{"no key", asked + strings.Replace(upgrading, "-Key", "-Lock", 1) + "\r\n", http.StatusBadRequest},
		{"another path", strings.Replace(asked, "/", "/other", 1) + upgrading + "\r\n", http.StatusNotFound},
		{"a header without end", asked + "A: " + strings.Repeat("a", maxHeader-len(asked)-3), http.StatusRequestHeaderFieldsTooLarge},
		{"headers without end", asked + strings.Repeat("A: b\r\n", maxHeader)[:maxHeader-len(asked)], http.StatusRequestHeaderFieldsTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			at := anyPort
			if c.code == http.StatusNotFound {
				at = ma.StringCast("/ip4/127.0.0.1/tcp/0/ws/http-path/p2p")
			}
			l, acc := serves(t, Config{}, at)
			nc := knock(t, l)
			if _, err := io.WriteString(nc, c.sent); err != nil {
				t.Fatal(err)
			}
			r, err := http.ReadResponse(bufio.NewReader(nc), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = r.Body.Close() }()
			if r.StatusCode != c.code || !r.Close {
				t.Errorf("answered %d, close %v; want %d", r.StatusCode, r.Close, c.code)
			}
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				t.Error(err)
			}
			if _, err := nc.Read(make([]byte, 1)); err == nil || timedOut(err) {
				t.Errorf("after the answer: %v", err)
			}
			if n, failed, degraded := acc.Counts(); n+failed+degraded > 0 {
				t.Errorf("%d accepted, %d failures, %d reports", n, failed, degraded)
			}
		})
	}
}

func timedOut(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

func TestWhoIsSlowWithTheHandshakeIsDropped(t *testing.T) {
	for _, c := range []struct {
		name, sent string
		at         ma.Multiaddr
	}{
		{"silent", "", anyPort},
		{"half a request", asked, anyPort},
		{"silent, TLS", "", anyPortS},
		{"half a record, TLS", "\x16\x03\x01", anyPortS},
		{"no TLS", asked + "\r\n", anyPortS},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := secured(t)
			cfg.HandshakeTimeout = 20 * time.Millisecond
			l, acc := serves(t, cfg, c.at)
			nc := knock(t, l)
			if _, err := io.WriteString(nc, c.sent); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, nc); timedOut(err) {
				t.Error("it is still connected")
			}
			if n, failed, degraded := acc.Counts(); n+failed+degraded > 0 {
				t.Errorf("%d accepted, %d failures, %d reports", n, failed, degraded)
			}
		})
	}
}

func TestAFloodOfHandshakesIsBounded(t *testing.T) {
	const most = 4
	l, acc := serves(t, Config{Handshakes: most}, anyPort)
	var flood []net.Conn
	for range 100 * most {
		flood = append(flood, knock(t, l))
	}
	for i, nc := range flood[:99*most] {
		if _, err := nc.Read(make([]byte, 1)); err == nil || timedOut(err) {
			t.Fatalf("connection %d: %v", i, err)
		}
	}
	if held := l.t.slots.Len(); held > most {
		t.Errorf("%d are in their handshake, at most %d may be", held, most)
	}
	c, err := transporttest.Dial(t.Context(), l.t, l.Addr()) // an honest one gets in
	if err != nil {
		t.Fatal(err)
	}
	c.Abandon()
	acc.Next(t, 0).Abandon()
}

func TestATextMessageEndsTheConnection(t *testing.T) {
	ws, _, s := visit(t, Config{})
	if err := ws.WriteMessage(websocket.BinaryMessage, []byte("good")); err != nil {
		t.Fatal(err)
	}
	if err := ws.WriteMessage(websocket.TextMessage, []byte("bad")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ws.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseUnsupportedData) {
		t.Errorf("the remote is told %v", err)
	}
	if err := s.WaitEnded(t, "the end"); !errors.Is(err, ErrText) || origins(err) != fault.Remote {
		t.Errorf("ended with %v", err)
	}
	if got := s.WaitBytes(t, "what came before", 4); string(got) != "good" {
		t.Errorf("got %q", got)
	}
}

func TestAMessageWithoutEndIsRefused(t *testing.T) {
	const most = 1 << 10
	announced := func(n uint64) []byte { // a masked binary frame of n bytes, RFC 6455 section 5.2
		return append(binary.BigEndian.AppendUint64([]byte{0x82, 0xff}, n), 1, 2, 3, 4)
	}
	part := func(first byte, n int) []byte { // a masked frame of n bytes that is not the last one
		return append(binary.BigEndian.AppendUint16([]byte{first, 0xfe}, uint16(n)), make([]byte, 4+n)...)
	}
	for _, c := range []struct {
		name string
		sent []byte
	}{
		{"a byte too long", announced(most + 1)},
		{"a terabyte", announced(1 << 40)},
		{"more than there is", announced(1<<63 - 1)},
		{"in parts", bytes.Join([][]byte{part(0x02, 1000), part(0x00, 1000)}, nil)},
	} {
		t.Run(c.name, func(t *testing.T) {
			ws, _, s := visit(t, Config{MaxMessage: most})
			if _, err := ws.NetConn().Write(c.sent); err != nil {
				t.Fatal(err)
			}
			if _, _, err := ws.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseMessageTooBig) {
				t.Errorf("the remote is told %v", err)
			}
			if err := s.WaitEnded(t, "the end"); !errors.Is(err, ErrTooLong) || origins(err) != fault.Limit {
				t.Errorf("ended with %v", err)
			}
		})
	}
}

func TestFramesThatBreakTheProtocolEndTheConnection(t *testing.T) {
	for _, c := range []struct {
		name string
		sent []byte
	}{
		{"not masked", []byte{0x82, 0x01, 'x'}},
		{"a reserved bit", []byte{0xc2, 0x81, 0, 0, 0, 0, 'x'}},
		{"an unknown opcode", []byte{0x83, 0x81, 0, 0, 0, 0, 'x'}},
		{"a continuation of nothing", []byte{0x80, 0x81, 0, 0, 0, 0, 'x'}},
		{"a ping in parts", []byte{0x09, 0x81, 0, 0, 0, 0, 'x'}},
		{"a ping that is too long", append([]byte{0x89, 0xfe, 0, 126, 0, 0, 0, 0}, make([]byte, 126)...)},
		{"a code that nobody may send", []byte{0x88, 0x82, 0, 0, 0, 0, 0x03, 0xed}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ws, _, s := visit(t, Config{})
			if _, err := ws.NetConn().Write(c.sent); err != nil {
				t.Fatal(err)
			}
			if _, _, err := ws.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseProtocolError) {
				t.Errorf("the remote is told %v", err)
			}
			if err := s.WaitEnded(t, "the end"); errors.Is(err, io.EOF) || origins(err) != fault.Remote {
				t.Errorf("ended with %v", err)
			}
		})
	}
}

// piped is a connection without buffers that no listener of ours has accepted.
type piped struct{ net.Conn }

func (piped) LocalAddr() net.Addr  { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
func (piped) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 2} }

func TestPingsOfARemoteThatDoesNotReadAreBounded(t *testing.T) {
	l, acc := serves(t, Config{}, anyPort)
	theirs, ours := net.Pipe()
	l.serve(piped{ours})
	d := websocket.Dialer{NetDial: func(string, string) (net.Conn, error) { return theirs, nil }}
	ws, r, err := d.Dial("ws://stranger.example/", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	defer func() { _ = ws.Close() }()
	c, s := acc.Next(t, 0).Raw.(*conn), &transporttest.Sink{}
	defer func() { _ = c.Close() }()
	c.Bind(s, 1<<20)
	ping, pays := bytes.Repeat([]byte("p"), 125), []byte("pays for a ping")
	most, paid := 0, 0
	for sent := 0; sent < 100*queueCap; sent += len(ping) {
		if err := ws.WriteMessage(websocket.BinaryMessage, pays); err != nil {
			t.Fatal(err)
		}
		paid += len(pays)
		if err := ws.WriteControl(websocket.PingMessage, ping, time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		c.queue.mu.Lock()
		most = max(most, c.queue.held())
		c.queue.mu.Unlock()
	}
	if err := ws.WriteMessage(websocket.BinaryMessage, []byte("all read")); err != nil {
		t.Fatal(err)
	}
	s.WaitBytes(t, "what comes behind the pings", paid+8)
	if most == 0 || most > queueCap {
		t.Errorf("%d bytes waited, at most %d may", most, queueCap)
	}
}

func TestAFloodOfFramesWithoutDataEndsTheConnection(t *testing.T) {
	masked := func(first byte, payload string) []byte { // a frame of a mask of zeros
		return append([]byte{first, 0x80 | byte(len(payload)), 0, 0, 0, 0}, payload...)
	}
	for _, c := range []struct {
		name        string
		first, more []byte
	}{
		{"pings", nil, masked(0x89, "")},
		{"long pings", nil, masked(0x89, strings.Repeat("p", 125))},
		{"pongs", nil, masked(0x8a, "")},
		{"empty messages", nil, masked(0x82, "")},
		{"empty parts of a message", masked(0x02, ""), masked(0x00, "")},
		{"pings within a message", masked(0x02, "x"), masked(0x89, "")},
	} {
		flood := bytes.Repeat(c.more, 100*emptyBurst/len(c.more))
		t.Run(c.name+", alone", func(t *testing.T) {
			const bound = emptyBurst + 16*frameRead // the library reads ahead, and time forgives
			alone, tp := plays(t, New(transporttest.Runtime(t), Config{}), false, append(c.first, flood...))
			if _, err := readAll(alone, 100); !errors.Is(err, ErrEmpty) || tp.read > bound {
				t.Errorf("%d bytes were read, at most %d may be; ended with %v", tp.read, bound, err)
			}
		})
		t.Run(c.name, func(t *testing.T) {
			ws, _, s := visit(t, Config{})
			if _, err := ws.NetConn().Write(append(c.first, flood[:2*emptyBurst]...)); err != nil {
				t.Fatal(err)
			}
			if _, _, err := ws.ReadMessage(); !websocket.IsCloseError(err, websocket.ClosePolicyViolation) {
				t.Errorf("the remote is told %v", err)
			}
			if err := s.WaitEnded(t, "the end"); !errors.Is(err, ErrEmpty) || origins(err) != fault.Remote {
				t.Errorf("ended with %v", err)
			}
		})
	}
}

func TestPingsAreAnsweredWithinAMessageToo(t *testing.T) {
	ws, _, s := visit(t, Config{})
	pongs := make(chan string, 2)
	ws.SetPongHandler(func(data string) error { pongs <- data; return nil })
	w, err := ws.NextWriter(websocket.BinaryMessage)
	if err != nil {
		t.Fatal(err)
	}
	sent := bytes.Repeat([]byte("0123456789"), 100) // in several frames: the writer's buffer is small
	for i, p := range [][]byte{sent[:500], sent[500:]} {
		if _, err := w.Write(p); err != nil {
			t.Fatal(err)
		}
		if err := ws.WriteControl(websocket.PingMessage, []byte{byte('a' + i)}, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := s.WaitBytes(t, "the message", len(sent)); !bytes.Equal(got, sent) {
		t.Error("bytes differ")
	}
	if err := ws.WriteControl(websocket.CloseMessage, nil, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ws.ReadMessage(); err == nil { // reads the pongs on the way
		t.Error("a message that nobody sent")
	}
	if a, b := <-pongs, <-pongs; a != "a" || b != "b" {
		t.Errorf("pongs %q and %q", a, b)
	}
}

func TestTheEndSaysHowItCame(t *testing.T) {
	closing := func(code int) func(*websocket.Conn) error {
		return func(ws *websocket.Conn) error {
			return ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""), time.Time{})
		}
	}
	for _, c := range []struct {
		name string
		end  func(*websocket.Conn) error
		want error
	}{
		{"done", closing(websocket.CloseNormalClosure), io.EOF},
		{"going away", closing(websocket.CloseGoingAway), io.EOF},
		{"without a code", closing(websocket.CloseNoStatusReceived), io.EOF},
		{"a failure", closing(websocket.CloseInternalServerErr), errGoodbye},
		{"a failure that would harm a log", func(ws *websocket.Conn) error {
			return ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseInternalServerErr, "\x1b[2J\n"), time.Time{})
		}, errGoodbye},
		{"no goodbye", func(ws *websocket.Conn) error { return ws.NetConn().Close() }, io.ErrUnexpectedEOF},
		{"in the middle of a message", func(ws *websocket.Conn) error {
			_, err := ws.NetConn().Write([]byte{0x82, 0x85, 0, 0, 0, 0, 'x'})
			return errors.Join(err, ws.NetConn().Close())
		}, io.ErrUnexpectedEOF},
		{"in the middle of a head", func(ws *websocket.Conn) error {
			_, err := ws.NetConn().Write([]byte{0x82})
			return errors.Join(err, ws.NetConn().Close())
		}, io.ErrUnexpectedEOF},
	} {
		t.Run(c.name, func(t *testing.T) {
			ws, conn, s := visit(t, Config{})
			if err := c.end(ws); err != nil {
				t.Fatal(err)
			}
			err := s.WaitEnded(t, "the end")
			if c.want == io.EOF {
				if err != io.EOF {
					t.Errorf("ended with %v, want io.EOF", err)
				}
				if _, err := conn.TryWrite([]byte("x")); origins(err) != fault.Remote {
					t.Errorf("a write after the goodbye: %v", err)
				}
				return
			}
			if errors.Is(err, io.EOF) || origins(err) != fault.Remote || !errors.Is(err, c.want) {
				t.Errorf("ended with %v, want %v", err, c.want)
			}
			if !clean.Is(err.Error()) {
				t.Errorf("not to be shown: %q", err)
			}
		})
	}
}

func TestCloseSaysGoodbyeBehindTheBytes(t *testing.T) {
	ws, c, _ := visit(t, Config{})
	if n, err := c.TryWrite([]byte("last words")); n != 10 || err != nil {
		t.Fatal(n, err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	kind, p, err := ws.ReadMessage()
	if err != nil || kind != websocket.BinaryMessage || string(p) != "last words" {
		t.Errorf("read %d %q, %v", kind, p, err)
	}
	if _, _, err := ws.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		t.Errorf("the remote is told %v", err)
	}
}

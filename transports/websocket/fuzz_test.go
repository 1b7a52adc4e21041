package websocket

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/internal/fault"

	ma "github.com/multiformats/go-multiaddr"
)

// fuzzed does not count goroutines in the end: the fuzzer has its own, which come and go.
func fuzzed(f *testing.F, cfg Config) *Transport {
	f.Helper()
	rt := actors.Live(actors.Options{})
	f.Cleanup(func() { rt.Close(context.Background()) })
	return New(rt, cfg)
}

// FuzzFrames: whatever comes behind the handshake, no more data comes out than went in, the end has
// somebody whose fault it is, and what waits to be answered is bounded.
func FuzzFrames(f *testing.F) {
	for _, frames := range [][]byte{
		nil,
		{0x82, 0x81, 1, 2, 3, 4, 'x'},
		{0x82, 0x01, 'x'},
		{0x02, 0x80, 0, 0, 0, 0, 0x89, 0x81, 0, 0, 0, 0, 'p', 0x80, 0x81, 0, 0, 0, 0, 'x'},
		{0x02, 0x00, 0x89, 0x01, 'p', 0x80, 0x01, 'x'},
		{0x81, 0x81, 0, 0, 0, 0, 'x'},
		{0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8},
		{0x88, 0x05, 0x03, 0xf3, 0x1b, '[', 'J'},
		{0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0},
		{0x82, 0x7e, 0x00, 0x02, 'x', 'y'},
		bytes.Repeat([]byte{0x82, 0x80, 0, 0, 0, 0}, emptyBurst/5),
		bytes.Repeat([]byte{0x89, 0x00}, emptyBurst),
	} {
		f.Add(frames, false, uint16(100))
		f.Add(frames, true, uint16(1))
	}
	tr := fuzzed(f, Config{MaxMessage: 1 << 20})
	f.Fuzz(func(t *testing.T, frames []byte, dialled bool, size uint16) {
		bufs := int(buf.Live())
		c, tp := plays(t, tr, dialled, frames)
		got, err := readAll(c, 1+int(size))
		if len(got) > tp.read {
			t.Errorf("%d bytes came of %d", len(got), tp.read)
		}
		if o := origins(err); err != io.EOF && o != fault.Remote && o != fault.Limit {
			t.Errorf("ended with %v", err)
		}
		if most := emptyBurst + (1+headsPerByte)*len(got) + 16*frameRead; tp.read > most && errors.Is(err, ErrEmpty) {
			t.Errorf("%d bytes were read for %d of data before it was too much", tp.read, len(got))
		}
		c.queue.mu.Lock()
		held := c.queue.held()
		c.queue.mu.Unlock()
		if held > queueCap {
			t.Errorf("%d bytes wait", held)
		}
		_ = c.Reset()
		transporttest.Settle(t, "buffers", bufs, func() int { return int(buf.Live()) })
	})
}

// FuzzRoundTrip: what one end frames, however it is cut, the other end reads, with pings in between.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("hello"), uint8(0), []byte{1, 0, 3}, false)
	f.Add(bytes.Repeat([]byte("0123456789"), 100), uint8(200), []byte{255, 128}, true)
	f.Add([]byte{}, uint8(0), []byte{}, true)
	tr := fuzzed(f, Config{})
	f.Fuzz(func(t *testing.T, data []byte, times uint8, cuts []byte, dialled bool) {
		data = bytes.Repeat(data, min(1+int(times), 1<<20/(1+len(data))))
		from, _ := plays(t, tr, dialled, nil)
		var frames []byte
		took := func() {
			if b := from.queue.take(); b != nil {
				frames = append(frames, b.B...)
				b.Release()
			}
			from.queue.busy = 0
		}
		const pings = 10
		for i, rest := 0, data; len(rest) > 0; i++ {
			n := len(rest)
			if i < len(cuts) {
				n = min(n, 1+300*int(cuts[i]))
			}
			n, err := from.frame(rest[:n])
			if err != nil || n == 0 {
				t.Fatalf("took %d bytes of %d, %v", n, len(rest), err)
			}
			if rest = rest[n:]; i < pings {
				took()
				if err := from.ws.WriteControl(websocket.PingMessage, cuts[:min(len(cuts), 125)], time.Time{}); err != nil {
					t.Fatal(err)
				}
			}
			took()
		}
		if err := from.goodbye(websocket.CloseNormalClosure, ""); err != nil {
			t.Fatal(err)
		}
		took()
		to, _ := plays(t, tr, !dialled, frames)
		if got, err := readAll(to, 4<<10); err != io.EOF || !bytes.Equal(got, data) {
			t.Errorf("%d bytes arrived as %d, %v", len(data), len(got), err)
		}
	})
}

// FuzzRequest: whatever asks a listener is answered with HTTP or not at all, and is not listened to
// for longer than a header may be.
func FuzzRequest(f *testing.F) {
	f.Add([]byte(asked + upgrading + "\r\n"))
	f.Add([]byte(asked + "\r\n"))
	f.Add([]byte(asked + upgrading + "\r\n\x82\x80"))
	f.Add([]byte("GET http://[::1%25x]/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"))
	f.Add([]byte("\x13/multistream/1.0.0\n"))
	f.Add(bytes.Repeat([]byte("A: b\r\n"), maxHeader))
	tr := fuzzed(f, Config{})
	f.Fuzz(func(t *testing.T, request []byte) {
		tp := &tape{parts: [][]byte{request}}
		c, err := upgrades(tr, tp)
		if err == nil {
			defer func() { _ = c.Reset() }()
		}
		if tp.read > maxHeader {
			t.Errorf("%d bytes were read", tp.read)
		}
		if tp.out.Len() == 0 && err != nil {
			return
		}
		r, bad := http.ReadResponse(bufio.NewReader(&tp.out), nil)
		if bad != nil {
			t.Fatal(bad)
		}
		_ = r.Body.Close()
		if (r.StatusCode == http.StatusSwitchingProtocols) != (err == nil) {
			t.Errorf("answered %s, %v", r.Status, err)
		}
	})
}

// FuzzAnswer: whatever answers a dial makes it fail in order, or is a WebSocket.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(""), true)
	f.Add([]byte("Sec-WebSocket-Extensions: permessage-deflate\r\n"), true)
	f.Add([]byte("\r\n\x82\x01x"), true)
	f.Add([]byte(accepted("", "")), false)
	f.Add([]byte("HTTP/1.1 404 Not Found\r\nContent-Length: 100000\r\n\r\nno"), false)
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n"), false)
	tr := fuzzed(f, Config{})
	f.Fuzz(func(t *testing.T, answer []byte, key bool) {
		tp := &tape{answer: func(k string) string {
			if key { // the one thing that cannot be guessed
				return accepted(k, string(answer))
			}
			return string(answer)
		}}
		_, _, err := tr.handshake(tp, target{address: "192.0.2.1:80", host: "192.0.2.1"})
		if tp.read > maxHeader {
			t.Errorf("%d bytes were read", tp.read)
		}
		if err == nil && !key {
			t.Error("a WebSocket without a key")
		}
	})
}

// FuzzAddress: an address that is taken can be asked for.
func FuzzAddress(f *testing.F) {
	for _, s := range append([]string{
		"/ip4/192.0.2.1/tcp/80/ws/http-path/a%20b", "/ip6zone/lo/ip6/fe80::1/tcp/80/ws", "/dns/a.example/tcp/443/tls/sni/b.example/ws",
	}, foreign...) {
		f.Add(ma.StringCast(s).Bytes())
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := ma.NewMultiaddrBytes(raw)
		if err != nil {
			return
		}
		to, err := parse(a)
		if err != nil {
			return
		}
		u, err := url.Parse(to.url())
		if err != nil {
			t.Fatal(err)
		}
		if u.User != nil || u.RawQuery != "" || u.Fragment != "" || to.path != "" && u.Path != to.path {
			t.Errorf("%s is asked for as %s", a, u)
		}
		if again := join(a[:len(a)-len(to.suffix)], to.suffix); !again.Equal(a) {
			t.Errorf("%s becomes %s", a, again)
		}
	})
}

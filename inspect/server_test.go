package inspect

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestCheckAddrWantsATokenOffLoopback(t *testing.T) {
	for _, c := range []struct {
		addr, token string
		open, bad   bool
	}{
		{addr: "127.0.0.1:0"},
		{addr: "127.9.9.9:4002"},
		{addr: "[::1]:4002"},
		{addr: "[::ffff:127.0.0.1]:4002"},
		{addr: "localhost:4002"},
		{addr: "0.0.0.0:4002", open: true},
		{addr: "[::]:4002", open: true},
		{addr: ":4002", open: true},
		{addr: "192.0.2.1:4002", open: true},
		{addr: "node.example:4002", open: true},
		{addr: "localhost.example:4002", open: true},
		{addr: "0.0.0.0:4002", token: "t"},
		{addr: ":4002", token: "t"},
		{addr: "127.0.0.1", bad: true},
		{addr: "127.0.0.1:", bad: true},
		{addr: "127.0.0.1:http", bad: true},
		{addr: "127.0.0.1:65536", bad: true},
		{addr: "::1:4002", bad: true},
		{addr: "", bad: true},
	} {
		err := CheckAddr(c.addr, c.token)
		if errors.Is(err, ErrOpen) != c.open || (err != nil) != (c.open || c.bad) {
			t.Errorf("%q with token %q: %v", c.addr, c.token, err)
		}
	}
}

// pipes is a listener of one connection that needs no network, so that it works in virtual time.
type pipes struct {
	conn chan net.Conn
	done chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conn:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.done); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// dialogue gives a client of a served node, in virtual time.
func dialogue(t *testing.T, talk func(client net.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{make(chan net.Conn, 1), make(chan struct{})}
		srv := NewServer(New(fullNode(), Config{}), nil)
		over := make(chan error, 1)
		go func() { over <- srv.Serve(p) }()
		client, server := net.Pipe()
		p.conn <- server
		talk(client)
		_ = client.Close()
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		if err := <-over; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		<-time.After(time.Second) // net/http waits a little before it closes what it has refused
	})
}

func TestServerLeavesWhoSaysNothing(t *testing.T) {
	dialogue(t, func(client net.Conn) {
		start := time.Now()
		if _, err := client.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("a silent client gets %v", err)
		}
		if d := time.Since(start); d < headerTimeout || d > headerTimeout+time.Second {
			t.Errorf("a silent client is left after %v", d)
		}
	})
}

func TestServerLeavesWhoSpeaksSlowly(t *testing.T) {
	dialogue(t, func(client net.Conn) {
		start := time.Now()
		_, err := io.WriteString(client, "GET /tree HTTP/1.1\r\nX: ")
		for err == nil && time.Since(start) < time.Minute {
			<-time.After(time.Second)
			_, err = io.WriteString(client, "x")
		}
		if d := time.Since(start); err == nil || d > headerTimeout+2*time.Second {
			t.Errorf("a client that drips its header is left after %v: %v", d, err)
		}
	})
}

func TestServerTakesNoLongHeader(t *testing.T) {
	dialogue(t, func(client net.Conn) {
		go func() {
			_, _ = io.WriteString(client, "GET /tree HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "+strings.Repeat("x", 2*maxHeader)+"\r\n\r\n")
		}()
		resp, err := http.ReadResponse(bufio.NewReader(client), nil)
		if err != nil || resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%v %v", resp, err)
		}
	})
}

func TestServerServes(t *testing.T) {
	dialogue(t, func(client net.Conn) {
		go func() { _, _ = io.WriteString(client, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n") }()
		resp, err := http.ReadResponse(bufio.NewReader(client), nil)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("%v %v", resp, err)
		}
	})
}

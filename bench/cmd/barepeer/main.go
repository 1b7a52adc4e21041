// Command barepeer is the limit that the others are measured against: TCP with ChaCha20-Poly1305
// frames as large as Noise allows, one connection for each stream, and nothing else.
//
//	connection  protocol (1 byte length, text), then frames in both directions
//	frame       length (2 bytes) | sealed: at most 65519 bytes and a tag of 16; empty: the end
//
// The key is known to everybody: it hides nothing, it costs what hiding costs. The cipher is Troupe's own.
package main

import (
	"context"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/troupe-p2p/troupe/bench/control"
	"github.com/troupe-p2p/troupe/bench/drive"
	"github.com/troupe-p2p/troupe/internal/chachapoly"
)

func main() { os.Exit(drive.Main("barepeer", newNode)) }

// node is a listener, or nothing at all.
type node struct{ ln net.Listener }

func newNode(cfg drive.Config) (drive.Node, error) {
	if cfg.Listen == "" {
		return &node{}, nil
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return // closed
			}
			go serve(c)
		}
	}()
	return &node{ln}, nil
}

func serve(c net.Conn) {
	s := newStream(c)
	var n [1]byte
	name := make([]byte, 255)
	if _, err := io.ReadFull(c, n[:]); err != nil {
		return
	}
	if _, err := io.ReadFull(c, name[:n[0]]); err != nil {
		return
	}
	handle := drive.Handlers[string(name[:n[0]])]
	if string(name[:n[0]]) == control.PingProtocol {
		handle = drive.ServePing
	}
	if handle == nil {
		fmt.Fprintf(os.Stderr, "barepeer: unknown protocol %q\n", name[:n[0]])
		s.Abort()
		return
	}
	drive.Serve(s, handle)
}

func (n *node) ID() string { return "bare" }

func (n *node) Addrs() []string {
	if n.ln == nil {
		return nil
	}
	return []string{n.ln.Addr().String()}
}

// Connect: the address is the peer, there is nothing to agree on.
func (n *node) Connect(_ context.Context, addr string) (string, error) { return addr, nil }

func (n *node) Disconnect(context.Context, string) error { return nil }

func (n *node) Open(ctx context.Context, id, protocol string) (drive.Stream, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", id)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(c, strings.NewReader(string(byte(len(protocol)))+protocol)); err != nil {
		return nil, err
	}
	return newStream(c), nil
}

func (n *node) Peers() ([]string, error) { return nil, nil }

func (n *node) Close() {
	if n.ln != nil {
		_ = n.ln.Close()
	}
}

const (
	maxPlain = 65535 - chachapoly.Overhead
	readSize = 128 << 10
)

// stream is one TCP connection. One goroutine may read and one may write.
type stream struct {
	net.Conn
	seal, open   cipher.AEAD
	sealN, openN uint64
	out          []byte
	in           []byte // storage
	raw          []byte // of in: read, not opened
	plain        []byte // of in: opened, not read
	ended        bool
}

func newStream(c net.Conn) *stream {
	key := make([]byte, chachapoly.KeySize)
	a, _ := chachapoly.New(key) // it has the right length
	return &stream{Conn: c, seal: a, open: a, in: make([]byte, readSize)}
}

func nonce(n uint64) []byte {
	var b [chachapoly.NonceSize]byte
	binary.LittleEndian.PutUint64(b[4:], n)
	return b[:]
}

// Write seals all of p and writes it with one call.
func (s *stream) Write(p []byte) (int, error) {
	s.out = s.out[:0]
	for left := p; len(left) > 0; {
		n := min(len(left), maxPlain)
		s.frame(left[:n])
		left = left[n:]
	}
	if _, err := s.Conn.Write(s.out); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (s *stream) frame(p []byte) {
	s.out = binary.BigEndian.AppendUint16(s.out, uint16(len(p)+chachapoly.Overhead))
	s.out = s.seal.Seal(s.out, nonce(s.sealN), p, nil)
	s.sealN++
}

// CloseWrite sends an empty frame.
func (s *stream) CloseWrite() error {
	s.out = s.out[:0]
	s.frame(nil)
	_, err := s.Conn.Write(s.out)
	return err
}

func (s *stream) Read(p []byte) (int, error) {
	for len(s.plain) == 0 {
		if s.ended {
			return 0, io.EOF
		}
		if err := s.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.plain)
	s.plain = s.plain[n:]
	return n, nil
}

// next opens one frame in place, after reading as much as there is when a whole one is not.
func (s *stream) next() error {
	for {
		if len(s.raw) >= 2 {
			if n := 2 + int(binary.BigEndian.Uint16(s.raw)); len(s.raw) >= n {
				plain, err := s.open.Open(s.raw[2:2], nonce(s.openN), s.raw[2:n], nil)
				if err != nil {
					return err
				}
				s.openN++
				s.raw, s.plain, s.ended = s.raw[n:], plain, len(plain) == 0
				return nil
			}
		}
		have := copy(s.in, s.raw)
		n, err := s.Conn.Read(s.in[have:])
		if n == 0 && err != nil {
			return err
		}
		s.raw = s.in[:have+n]
	}
}

func (s *stream) Abort() { _ = s.Conn.Close() }

// Close implements drive.Stream: what is not read any more needs no orderly end.
func (s *stream) Close() error { return s.Conn.Close() }

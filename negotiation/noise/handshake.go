package noise

import (
	"fmt"
	"io"

	"github.com/troupe-p2p/troupe/identity"

	fnoise "github.com/flynn/noise"
)

// Config is what a handshake needs. Static and Rand are required.
type Config struct {
	// Initiator is true on the side that sends first. Default: the responder.
	Initiator bool
	// Static is this node's key and proof.
	Static *Static
	// Rand is read for the ephemeral key, 32 bytes.
	Rand io.Reader
	// Expect is the peer that has to be there. Default: any.
	Expect identity.ID
	// Muxers are agreed on inside the handshake, the best first. Default: not agreed here.
	Muxers []string
	// CertHashes are told to the remote by a WebTransport server. Default: none.
	CertHashes [][]byte
	// Prologue binds the handshake to what went before it. Default: empty.
	Prologue []byte
	// Frame is the plaintext of a full frame sent afterwards, 1 to MaxPlaintext bytes.
	// Default: DefaultFrame.
	Frame int
}

// Result is what a handshake yields.
type Result struct {
	Peer      identity.ID
	PublicKey identity.PublicKey
	// Muxer is the one agreed on, if Early; else one has to be negotiated inside the channel.
	Muxer string
	Early bool
	// CertHashes are what the remote told.
	CertHashes [][]byte
	Open       *Opener
	Seal       *Sealer
}

// Handshake runs one side of a handshake. It is dropped when it is done: what lasts is in Result.
type Handshake struct {
	cfg    Config
	state  *fnoise.HandshakeState
	part   []byte // a message that comes in pieces, at most lengthSize+MaxHandshakeMessage
	out    []byte
	proven *proof // what the remote proved, once it has
	result *Result
	err    error
}

// New starts a handshake. An error has kind ErrLocal.
func New(cfg Config) (*Handshake, error) {
	if cfg.Frame == 0 {
		cfg.Frame = DefaultFrame
	}
	switch {
	case cfg.Static == nil || cfg.Rand == nil:
		return nil, fmt.Errorf("%w: a noise handshake needs Static and Rand", ErrLocal)
	case cfg.Frame < 0 || cfg.Frame > MaxPlaintext:
		return nil, fmt.Errorf("%w: frames of %d bytes, the format has room for %d", ErrLocal, cfg.Frame, MaxPlaintext)
	case len(cfg.Muxers) > MaxMuxers || len(cfg.CertHashes) > MaxMuxers:
		return nil, fmt.Errorf("%w: over %d muxers or certificate hashes", ErrLocal, MaxMuxers)
	}
	state, err := fnoise.NewHandshakeState(fnoise.Config{
		CipherSuite:   newSuite(),
		Random:        cfg.Rand,
		Pattern:       fnoise.HandshakeXX,
		Initiator:     cfg.Initiator,
		Prologue:      cfg.Prologue,
		StaticKeypair: cfg.Static.pair,
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLocal, err)
	}
	h := &Handshake{cfg: cfg, state: state}
	if cfg.Initiator {
		// noise/README.md: "the initiator MUST NOT send extensions in their first message".
		if _, _, err := h.write(nil); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// HandleBytes takes received bytes and uses up none behind the handshake's last message. The error
// is sticky.
func (h *Handshake) HandleBytes(p []byte) (consumed int, err error) {
	for h.err == nil && h.result == nil {
		msg, n, err := h.next(p[consumed:])
		consumed += n
		if err == nil && msg != nil {
			err = h.handle(msg)
		}
		if err != nil {
			h.err = err
			break
		}
		if msg == nil {
			return consumed, nil
		}
	}
	h.part, h.state = nil, nil
	return consumed, h.err
}

// AppendOutput appends what is to be sent; nothing after an error. Bytes appended count as sent.
func (h *Handshake) AppendOutput(dst []byte) []byte {
	if h.err == nil {
		dst = append(dst, h.out...)
	}
	h.out = nil
	return dst
}

// Done returns the outcome of a handshake that has succeeded. An initiator may be done before the
// responder has checked its last message: a refusal then shows as the end of the connection.
func (h *Handshake) Done() (*Result, bool) { return h.result, h.result != nil && h.err == nil }

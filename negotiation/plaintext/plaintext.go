// Package plaintext is libp2p's connection without security (plaintext/README.md): each side says
// who it is, nothing is proven, and everything can be read on the way.
//
//	each side  uvarint(len) {1: peer ID, 2: public key}
//	then       the data as it is
//
// It exists so that tests can read what goes over a wire, and to be compared with. A node refuses
// it unless it was allowed by name (upgrade.Config.AllowPlaintext).
package plaintext

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/bound"
	wire "github.com/troupe-p2p/troupe/messages/wire/plaintext"

	"google.golang.org/protobuf/proto"
)

// ID is the protocol's name in multistream-select.
const ID = "/plaintext/2.0.0"

// MaxMessage bounds the exchange message, so that a stranger's claim of a length sets nothing
// aside. An RSA key of 8192 bits makes one of 1,107 bytes.
const MaxMessage = 4 << 10

var (
	// ErrExchange: the remote's message does not parse, or its parts do not belong together.
	ErrExchange = errors.New("plaintext exchange failed")
	// ErrLimit: the remote announced more than MaxMessage.
	ErrLimit = errors.New("over limit")
	// ErrLocal: this node's configuration is at fault.
	ErrLocal = errors.New("local fault")
)

// Result is what the remote claims. Whether it is the peer expected is for the caller to say.
type Result struct {
	Peer      identity.ID
	PublicKey identity.PublicKey
	Open      *Opener
	Seal      *Sealer
}

// Handshake is the exchange, the same for both sides.
type Handshake struct {
	in     []byte // the message under way
	out    []byte
	result *Result
	err    error
}

// New starts the exchange as the owner of key. An error has kind ErrLocal.
func New(key identity.PublicKey) (*Handshake, error) {
	peer, err := identity.IDFromKey(key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLocal, err)
	}
	msg, err := proto.Marshal(&wire.Exchange{Id: peer.Bytes(), Pubkey: identity.MarshalPublicKey(key)})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLocal, err)
	}
	return &Handshake{out: append(binary.AppendUvarint(nil, uint64(len(msg))), msg...)}, nil
}

// HandleBytes takes received bytes and uses up none behind the exchange. The error is sticky.
func (h *Handshake) HandleBytes(p []byte) (consumed int, err error) {
	for h.err == nil && h.result == nil {
		want, err := h.want()
		if err != nil {
			h.err = err
			break
		}
		if len(h.in) == want {
			_, head := binary.Uvarint(h.in)
			h.result, h.err = read(h.in[head:])
			break
		}
		k := min(want-len(h.in), len(p)-consumed)
		h.in = append(h.in, p[consumed:consumed+k]...)
		consumed += k
		if len(h.in) < want {
			return consumed, nil
		}
	}
	h.in = nil
	return consumed, h.err
}

// AppendOutput appends what is to be sent; nothing after an error.
func (h *Handshake) AppendOutput(dst []byte) []byte {
	if h.err == nil {
		dst = append(dst, h.out...)
	}
	h.out = nil
	return dst
}

// Done returns what the remote claims.
func (h *Handshake) Done() (*Result, bool) { return h.result, h.result != nil }

// want is how long h.in has to be for the next step.
func (h *Handshake) want() (int, error) {
	size, head := binary.Uvarint(h.in)
	switch {
	case head == 0 && len(h.in) < 2:
		return len(h.in) + 1, nil // the length first: what follows may be another layer's
	case head <= 0 || size > MaxMessage:
		return 0, fmt.Errorf("%w: exchange of more than %d bytes", ErrLimit, MaxMessage)
	case head == 2 && size < 0x80:
		return 0, fmt.Errorf("%w: length is not minimally encoded", ErrExchange)
	}
	return head + int(size), nil
}

func read(msg []byte) (*Result, error) {
	var m wire.Exchange
	if err := proto.Unmarshal(msg, &m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrExchange, err)
	}
	key, err := identity.UnmarshalPublicKey(m.GetPubkey())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrExchange, err)
	}
	peer, err := identity.IDFromBytes(m.GetId())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrExchange, err)
	}
	// plaintext/README.md, "Exchange": the peer ID has to be the key's.
	if !peer.MatchesKey(key) {
		return nil, fmt.Errorf("%w: %v with the key of another peer: %w", ErrExchange, peer, identity.ErrMismatch)
	}
	return &Result{Peer: peer, PublicKey: key, Open: &Opener{}, Seal: &Sealer{}}, nil
}

// Opener hands on what it is given.
type Opener struct{ in []byte }

// Feed lends p until Next has returned false.
func (o *Opener) Feed(p []byte) { o.in = p }

// Next returns what was fed.
func (o *Opener) Next() ([]byte, bool, error) {
	p := o.in
	o.in = nil
	return p, len(p) > 0, nil
}

// Sealer hands on what it is given.
type Sealer struct{}

// Seal appends p.
func (*Sealer) Seal(dst, p []byte) ([]byte, error) { return append(dst, p...), nil }

// SealedSize is n.
func (*Sealer) SealedSize(n int) int { return n }

// Bounds lists what a remote can fill here.
func Bounds() []bound.Bound {
	return []bound.Bound{{Name: "negotiation/plaintext: bytes of the exchange message", Cap: MaxMessage + 2, Attack: "half-open connections that each announce a large message"}}
}

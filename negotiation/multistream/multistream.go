// Package multistream agrees on a protocol with multistream-select 1.0 (connections/README.md,
// "multistream-select"): once for the security of a connection, once for its muxer where that is
// not agreed earlier, and once for every stream.
//
//	message   uvarint(len(text)+1) text "\n"
//
//	dialer    "/multistream/1.0.0"  "/a"            "/b"            data of /b ...
//	listener            "/multistream/1.0.0"  "na"            "/b"  data of /b ...
//
// The first byte is the length of the header, or the remote is refused without waiting for what
// the byte would announce: who speaks HTTP or TLS into this port may never send that much.
//
// The dialer sends the header and its first proposal together. When it has only one proposal it
// may send the protocol's own data directly behind them and check the answer when that comes
// (Dialer.Ready, then Dialer.Done). The listener sends its header once it has seen the dialer's;
// a header that comes earlier is as good.
//
// Both sides are cores: HandleBytes takes received bytes and says how many were its own, so that
// what lies behind the negotiation goes to the protocol agreed on; AppendOutput yields what to
// send. Neither holds a buffer unless a message arrives in pieces.
package multistream

import (
	"errors"
	"fmt"
	"strings"
)

// ID is the header message.
const ID = "/multistream/1.0.0"

const (
	// MaxMessage bounds a message with its newline. Longer ones are refused from their length
	// alone, before anything is stored. The value is what go-libp2p and js-libp2p take.
	MaxMessage = 1024
	// MaxProposals bounds what a listener turns down on one negotiation. It stops the dialer
	// that proposes for ever, and with it what is queued for one that reads no answers.
	MaxProposals = 64

	refusal = "na"

	headerLen = len(ID) + 1
)

var (
	// ErrTooLarge: the remote announced a message above MaxMessage.
	ErrTooLarge = errors.New("multistream message over 1024 bytes")
	// ErrTooManyProposals: the remote proposed MaxProposals protocols, none of them known here.
	ErrTooManyProposals = errors.New("over 64 proposals")
	// ErrProtocol: the remote sent what multistream-select does not allow.
	ErrProtocol = errors.New("not multistream-select 1.0")
	// ErrNotSupported is what every NotSupportedError is.
	ErrNotSupported = errors.New("remote supports none of the protocols")
	// ErrName: a protocol name of this node that cannot be proposed.
	ErrName = errors.New("unusable protocol name")
)

// NotSupportedError says that the remote turned down every protocol of ours.
type NotSupportedError struct {
	Protocols []string
}

func (e *NotSupportedError) Error() string {
	return ErrNotSupported.Error() + ": " + strings.Join(e.Protocols, ", ")
}

// Is makes errors.Is(err, ErrNotSupported) true.
func (e *NotSupportedError) Is(target error) bool { return target == ErrNotSupported }

// CheckName says whether a protocol name can be proposed. Names that mean something else in the
// negotiation itself cannot.
func CheckName(protocol string) error {
	switch {
	case protocol == "" || protocol == refusal || protocol == ID:
		return fmt.Errorf("%w: %q", ErrName, protocol)
	case len(protocol)+1 > MaxMessage:
		return fmt.Errorf("%w: %d bytes, at most %d can be sent", ErrName, len(protocol), MaxMessage-1)
	case strings.IndexByte(protocol, '\n') >= 0:
		return fmt.Errorf("%w: newline in %q", ErrName, protocol)
	}
	return nil
}

// Lookup answers whether a proposed protocol is spoken here. name is borrowed; the string spells
// the same name, so that looking up a known protocol need not allocate.
type Lookup func(name []byte) (protocol string, ok bool)

// OneOf looks up in a short list.
func OneOf(protocols ...string) Lookup {
	return func(name []byte) (string, bool) {
		for _, p := range protocols {
			if string(name) == p {
				return p, true
			}
		}
		return "", false
	}
}

// Matching asks a predicate, for handlers that take a family of names.
func Matching(match func(protocol string) bool) Lookup {
	return func(name []byte) (string, bool) {
		p := string(name)
		return p, match(p)
	}
}

// quote shows a remote's message in an error without letting it write the log.
func quote(msg []byte) string {
	const most = 64
	if len(msg) > most {
		return fmt.Sprintf("%q and %d bytes more", msg[:most], len(msg)-most)
	}
	return fmt.Sprintf("%q", msg)
}

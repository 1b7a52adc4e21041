// Package rawaddr turns a stranger's bytes into a multiaddr that is safe to keep, print and compare.
//
//	multiaddr  component*                    at most MaxBytes, MaxComponents
//	component  uvarint(code) [uvarint(len)] value
//
// go-multiaddr checks the form of each component. It lets pass what harms later: names that write
// over a log line when they are printed, peer IDs that no key can have, addresses without end. It
// is under identity and addrs because both read addresses from the wire.
package rawaddr

import (
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"

	ma "github.com/multiformats/go-multiaddr"
)

const (
	// MaxBytes bounds one address. The longest in use (WebTransport through a relay, four
	// certificate hashes) has about 350 bytes. It stops peerstores filled with few, huge
	// addresses.
	MaxBytes = 1 << 10
	// MaxComponents bounds what an address costs in memory: a component of two bytes takes
	// forty once parsed.
	MaxComponents = 32
	// maxName is the longest domain name. RFC 1035 §3.1: "restricted to 255 octets or less",
	// which is 253 characters.
	maxName = 253
	// maxInlineID is the longest peer ID: an identity multihash of a 42 byte key.
	maxInlineID = 2 + 42
)

var (
	// ErrMalformed: the bytes are not a multiaddr, or not one that can be shown to people.
	ErrMalformed = errors.New("malformed multiaddr")
	// ErrLimit: a multiaddr of more bytes or components than this node takes.
	ErrLimit = errors.New("multiaddr over limit")
)

// Parse reads one address. The result holds no reference to b.
func Parse(b []byte) (ma.Multiaddr, error) {
	if len(b) > MaxBytes {
		return nil, fmt.Errorf("%w: %d bytes (at most %d)", ErrLimit, len(b), MaxBytes)
	}
	a, err := ma.NewMultiaddrBytes(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrMalformed, oneLine(err.Error()))
	}
	return a, Check(a)
}

// Check says whether an address that go-multiaddr has parsed stays within the limits of Parse.
func Check(a ma.Multiaddr) error {
	if len(a) == 0 {
		return fmt.Errorf("%w: empty", ErrMalformed)
	}
	if len(a) > MaxComponents {
		return fmt.Errorf("%w: %d components (at most %d)", ErrLimit, len(a), MaxComponents)
	}
	size := 0
	for i := range a {
		c := &a[i]
		raw := c.RawValue()
		size += len(c.Bytes())
		switch c.Code() {
		case ma.P_DNS, ma.P_DNS4, ma.P_DNS6, ma.P_DNSADDR, ma.P_SNI:
			if len(raw) > maxName {
				return fmt.Errorf("%w: name of %d bytes in /%s (at most %d)", ErrLimit, len(raw), c.Protocol().Name, maxName)
			}
			if !printable(raw) {
				return fmt.Errorf("%w: unprintable name in /%s", ErrMalformed, c.Protocol().Name)
			}
		case ma.P_IP6ZONE, ma.P_UNIX:
			if !printable(raw) {
				return fmt.Errorf("%w: unprintable value in /%s", ErrMalformed, c.Protocol().Name)
			}
		case ma.P_P2P:
			if !peerID(raw) {
				return fmt.Errorf("%w: /p2p value that no key has", ErrMalformed)
			}
		}
	}
	if size > MaxBytes {
		return fmt.Errorf("%w: %d bytes (at most %d)", ErrLimit, size, MaxBytes)
	}
	return nil
}

// peerID reports whether raw is one of the two multihashes of peer-ids.md: SHA-256, or the key
// itself if it has at most 42 bytes. Both lengths fit one byte, so no longer varint is right.
func peerID(raw []byte) bool {
	if len(raw) < 3 || len(raw) > maxInlineID || int(raw[1]) != len(raw)-2 {
		return false
	}
	return raw[0] == 0x00 || raw[0] == 0x12 && raw[1] == 32
}

// printable keeps what a terminal or a log would act on out of names: control characters, line
// ends, spaces, marks that turn the direction of writing.
func printable(raw []byte) bool {
	if !utf8.Valid(raw) {
		return false
	}
	for _, r := range string(raw) {
		if r <= ' ' || !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// oneLine makes the text of a foreign error, which quotes the remote's bytes, fit to be logged.
func oneLine(s string) string {
	const most = 160
	out := make([]rune, 0, most)
	for _, r := range s {
		if len(out) == most {
			return string(out) + "..."
		}
		if !unicode.IsPrint(r) {
			r = '?'
		}
		out = append(out, r)
	}
	return string(out)
}

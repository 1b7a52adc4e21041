package script

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/troupe-p2p/troupe/negotiation/multistream"
)

// Item is something that can be sent.
type Item interface {
	Append(dst []byte) []byte
	String() string
}

// Matcher says whether what has come is what is wanted.
type Matcher interface {
	// Match looks at what has come and was not taken yet, and returns how much of it is the
	// match. ErrMore asks for more bytes; any other error says that it is something else.
	Match(in []byte) (n int, err error)
	String() string
}

// Shower is a Matcher that can put bytes into words, as far as they make sense to it.
type Shower interface{ Show(in []byte) string }

// ErrMore is the answer of a Matcher that has not seen enough.
var ErrMore = errors.New("more is needed")

// Bytes are bytes as they are, to send or to want.
type Bytes string

// Append implements Item.
func (b Bytes) Append(dst []byte) []byte { return append(dst, b...) }

func (b Bytes) String() string { return brief([]byte(b)) }

// Match implements Matcher.
func (b Bytes) Match(in []byte) (int, error) {
	n := min(len(in), len(b))
	for i := range n {
		if in[i] != b[i] {
			return 0, fmt.Errorf("byte %d is %#02x and not %#02x", i, in[i], b[i])
		}
	}
	if n < len(b) {
		return 0, ErrMore
	}
	return n, nil
}

// Any wants n bytes of whatever kind.
func Any(n int) Matcher { return anyBytes(n) }

type anyBytes int

func (a anyBytes) String() string { return fmt.Sprintf("any %d bytes", int(a)) }

func (a anyBytes) Match(in []byte) (int, error) {
	if len(in) < int(a) {
		return 0, ErrMore
	}
	return int(a), nil
}

// Protocol is a message of multistream-select, to send or to want: a protocol's name, "na", or
// anything else, also what is too long or not allowed.
type Protocol string

// Header opens a negotiation.
const Header = Protocol(multistream.ID)

// Append implements Item.
func (p Protocol) Append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(p))+1)
	dst = append(dst, p...)
	return append(dst, '\n')
}

func (p Protocol) String() string { return fmt.Sprintf("multistream %q", string(p)) }

// Match implements Matcher.
func (p Protocol) Match(in []byte) (int, error) {
	text, n, err := delimited(in)
	if err != nil {
		return 0, err
	}
	if text[len(text)-1] != '\n' {
		return 0, fmt.Errorf("no newline ends %s", brief(text))
	}
	if got := string(text[:len(text)-1]); got != string(p) {
		return 0, fmt.Errorf("it is %s", Protocol(got))
	}
	return n, nil
}

// Show implements Shower.
func (p Protocol) Show(in []byte) string {
	var all []string
	for len(in) > 0 {
		text, n, err := delimited(in)
		if err != nil {
			all = append(all, brief(in))
			break
		}
		all = append(all, Protocol(bytes.TrimSuffix(text, []byte("\n"))).String())
		in = in[n:]
	}
	return strings.Join(all, ", ")
}

// AnyMessage wants a message of multistream-select or any other that begins with its length.
var AnyMessage Matcher = anyMessage{}

type anyMessage struct{}

func (anyMessage) String() string { return "a message with its length" }

func (anyMessage) Match(in []byte) (int, error) {
	_, n, err := delimited(in)
	return n, err
}

// maxDelimited is the longest message that a matcher waits for.
const maxDelimited = 16 << 20

// delimited cuts a message off that begins with its length.
func delimited(in []byte) (msg []byte, n int, err error) {
	size, head := binary.Uvarint(in)
	switch {
	case head == 0:
		return nil, 0, ErrMore
	case head < 0 || size > maxDelimited || size == 0:
		return nil, 0, fmt.Errorf("no message begins with %s", brief(in[:min(len(in), 10)]))
	case uint64(len(in)-head) < size:
		return nil, 0, ErrMore
	}
	n = head + int(size)
	return in[head:n], n, nil
}

// Claim is the length of a message that does not follow.
type Claim uint64

// Append implements Item.
func (c Claim) Append(dst []byte) []byte { return binary.AppendUvarint(dst, uint64(c)) }

func (c Claim) String() string { return fmt.Sprintf("the length of a message of %d bytes", uint64(c)) }

// Record is a frame of the Noise layer, to send: two bytes of length, then the bytes.
type Record []byte

// Append implements Item.
func (r Record) Append(dst []byte) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(r))), r...)
}

func (r Record) String() string { return "record of " + brief(r) }

// AnyRecord wants one frame of the Noise layer.
var AnyRecord Matcher = anyRecord{}

type anyRecord struct{}

func (anyRecord) String() string { return "a noise message" }

func (anyRecord) Match(in []byte) (int, error) {
	if len(in) < 2 || len(in) < 2+int(binary.BigEndian.Uint16(in)) {
		return 0, ErrMore
	}
	return 2 + int(binary.BigEndian.Uint16(in)), nil
}

// Show implements Shower.
func (anyRecord) Show(in []byte) string {
	if len(in) < 2 {
		return brief(in)
	}
	return fmt.Sprintf("noise message of %d bytes, %d here", binary.BigEndian.Uint16(in), len(in)-2)
}

// Garbage is n bytes that mean nothing; the same for the same seed.
func Garbage(seed uint64, n int) Item {
	b := make([]byte, n)
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	_, _ = rand.NewChaCha8(key).Read(b)
	return named{fmt.Sprintf("%d bytes of garbage", n), b}
}

// Truncated is the first n bytes of an item.
func Truncated(i Item, n int) Item {
	b := i.Append(nil)
	return named{fmt.Sprintf("%d of %d bytes of %s", min(n, len(b)), len(b), i), b[:min(n, len(b))]}
}

type named struct {
	name string
	b    []byte
}

func (n named) Append(dst []byte) []byte { return append(dst, n.b...) }
func (n named) String() string           { return n.name }

package webtransport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"testing"

	"github.com/quic-go/quic-go/quicvarint"
)

// tape is a stream of which all bytes are there.
type tape struct{ bytes.Reader }

func newTape(p []byte) *tape {
	t := &tape{}
	t.Reset(p)
	return t
}

func (t *tape) Peek(p []byte) (int, error) {
	at, err := t.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, err
	}
	n, err := io.ReadFull(&t.Reader, p)
	if _, serr := t.Seek(at, io.SeekStart); serr != nil {
		return 0, serr
	}
	return n, err
}

func TestCodesGoThroughTheRangeOfApplications(t *testing.T) {
	// The ends of the range are those of the draft, section 4.4.
	for code, wire := range map[uint32]uint64{
		0: 0x52e4a40fa8db, 1: 0x52e4a40fa8dc, 0x1d: 0x52e4a40fa8f8, 0x1e: 0x52e4a40fa8fa, math.MaxUint32: 0x52e5ac983162,
	} {
		if got := toWire(code); got != wire {
			t.Errorf("%#x goes as %#x, want %#x", code, got, wire)
		}
	}
	for code := uint64(0); code <= math.MaxUint32; code += 65_537 {
		wire := toWire(uint32(code))
		if back, ok := fromWire(wire); !ok || uint64(back) != code || (wire-0x21)%0x1f == 0 {
			t.Fatalf("%#x came back as %#x, %v by %#x", code, back, ok, wire)
		}
	}
	for _, h := range []uint64{0, 0x100, 0x170d7b68, firstCode - 1, 0x52e4a40fa8f9, lastCode + 1, math.MaxUint64} {
		if code, ok := fromWire(h); ok {
			t.Errorf("%#x is code %#x", h, code)
		}
	}
}

func TestAHeadIsReadAndNothingBehindIt(t *testing.T) {
	for _, id := range []uint64{0, 4, 63, 64, 1 << 14, 1 << 30, 1<<62 - 1} {
		whole := appendHead(nil, id)
		p := newTape(append(bytes.Clone(whole), "rest"...))
		h, err := readHead(p)
		if rest, _ := io.ReadAll(p); err != nil || h != (head{session: id}) || string(rest) != "rest" {
			t.Errorf("session %d: %+v, %v, behind it %q", id, h, err, rest)
		}
		for n := range whole {
			p := newTape(whole[:n])
			if _, err := readHead(p); err == nil || p.Len() != n {
				t.Errorf("%d of %d bytes are enough: %v, or lost", n, len(whole), err)
			}
		}
	}
	// A number may be longer than it has to be.
	p := newTape([]byte{0xc0, 0, 0, 0, 0, 0, 0, 0x41, 0x80, 0, 0, 8, 'x'})
	if h, err := readHead(p); err != nil || h != (head{session: 8}) || p.Len() != 1 {
		t.Errorf("%+v, %v, %d bytes behind it", h, err, p.Len())
	}
	for _, kind := range []byte{0, 1, 0x21, 0x3f} {
		p := newTape([]byte{kind, 7})
		if h, err := readHead(p); err != nil || !h.request || p.Len() != 2 {
			t.Errorf("frame %#x: %+v, %v", kind, h, err)
		}
	}
}

func capsule(kind uint64, length uint64, value []byte) []byte {
	return append(quicvarint.Append(quicvarint.Append(nil, kind), length), value...)
}

func TestALastWordIsFoundBehindWhatMeansNothing(t *testing.T) {
	for _, before := range [][]byte{
		nil, capsule(0x190b4d3d, 1, []byte{9}), capsule(0x3f, 100_000, make([]byte, 100_000)), capsule(0, 0, nil),
	} {
		p := append(bytes.Clone(before), closeCapsule(0xdeadbeef, "why")...)
		code, reason, err := readClose(bytes.NewReader(p))
		if code != 0xdeadbeef || reason != "why" || err != nil {
			t.Errorf("behind %d bytes: %#x %q, %v", len(before), code, reason, err)
		}
		for n := range p {
			if _, _, err := readClose(bytes.NewReader(p[:n])); err == nil {
				t.Fatalf("%d of %d bytes are a last word", n, len(p))
			}
		}
	}
	if _, _, err := readClose(bytes.NewReader(nil)); !errors.Is(err, io.EOF) {
		t.Errorf("the end of a session is %v", err)
	}
}

// endless gives zeroes, and counts them.
type endless struct{ n int }

func (e *endless) Read(p []byte) (int, error) {
	clear(p)
	e.n += len(p)
	return len(p), nil
}

func TestALastWordWithoutEndIsRefused(t *testing.T) {
	for _, n := range []uint64{0, 3, 4 + maxCloseMessage + 1, 100 * maxCloseMessage, quicvarint.Max} {
		rest := &endless{}
		_, _, err := readClose(io.MultiReader(bytes.NewReader(capsule(capsuleClose, n, nil)), rest))
		if !errors.Is(err, errCapsule) || rest.n > 0 {
			t.Errorf("a last word of %d bytes: %v, %d of them were read", n, err, rest.n)
		}
	}
	longest := capsule(capsuleClose, 4+maxCloseMessage, binary.BigEndian.AppendUint32(nil, 7))
	longest = append(longest, bytes.Repeat([]byte("x"), maxCloseMessage)...)
	if code, reason, err := readClose(bytes.NewReader(longest)); code != 7 || len(reason) != maxCloseMessage || err != nil {
		t.Errorf("the longest one: %d, %d bytes, %v", code, len(reason), err)
	}
}

func FuzzHead(f *testing.F) {
	f.Add(appendHead(nil, 0))
	f.Add(appendHead([]byte{}, 1<<40))
	f.Add([]byte{0x40})
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, p []byte) {
		in := newTape(p)
		h, err := readHead(in)
		used := len(p) - in.Len()
		switch {
		case err != nil || h.request:
			if used != 0 || h.session != 0 {
				t.Errorf("%+v, %v: %d bytes are gone", h, err, used)
			}
		default:
			if used > 16 || used < len(appendHead(nil, h.session)) {
				t.Errorf("session %d in %d bytes", h.session, used)
			}
		}
	})
}

func FuzzCapsules(f *testing.F) {
	f.Add(closeCapsule(1, "bye"))
	f.Add(append(capsule(0x190b4d3d, 1, []byte{9}), closeCapsule(0, "")...))
	f.Add(capsule(capsuleClose, 1<<40, nil))
	f.Add(capsule(0x3fff, 1<<61, []byte("x")))
	f.Fuzz(func(t *testing.T, p []byte) {
		code, reason, err := readClose(bytes.NewReader(p))
		if err != nil {
			return
		}
		if len(reason) > maxCloseMessage || len(reason) > len(p) {
			t.Errorf("a reason of %d bytes out of %d", len(reason), len(p))
		}
		again, what, err := readClose(bytes.NewReader(closeCapsule(code, reason)))
		if again != code || what != reason || err != nil {
			t.Errorf("%d %q came back as %d %q, %v", code, reason, again, what, err)
		}
	})
}

package muxtest

import (
	"bytes"
	"crypto/subtle"
	"encoding/binary"
)

// Sealer and Opener are a record layer that hides nothing: a length, then the bytes with every bit
// turned, so that a muxer that forgets it is seen.
type Sealer struct{}

const recordMax = 1<<16 - 1

// Seal implements conduit.Sealer.
func (Sealer) Seal(dst, p []byte) ([]byte, error) {
	for len(p) > 0 {
		n := min(len(p), recordMax)
		dst = binary.BigEndian.AppendUint16(dst, uint16(n))
		dst = append(dst, p[:n]...)
		turn(dst[len(dst)-n:])
		p = p[n:]
	}
	return dst, nil
}

// SealedSize implements conduit.Sealer.
func (Sealer) SealedSize(n int) int { return n + 2*((n+recordMax-1)/recordMax) }

// Opener turns them back in place.
type Opener struct{ in, part []byte }

// Feed implements conduit.Opener.
func (o *Opener) Feed(p []byte) { o.in = p }

// Next implements conduit.Opener.
func (o *Opener) Next() ([]byte, bool, error) {
	if len(o.part) > 0 { // a record that came in pieces
		for len(o.part) < 2 && len(o.in) > 0 {
			o.part, o.in = append(o.part, o.in[0]), o.in[1:]
		}
		if len(o.part) < 2 {
			return nil, false, nil
		}
		want := 2 + int(binary.BigEndian.Uint16(o.part))
		n := min(want-len(o.part), len(o.in))
		o.part, o.in = append(o.part, o.in[:n]...), o.in[n:]
		if len(o.part) < want {
			return nil, false, nil
		}
		p := o.part[2:]
		o.part = nil
		return turn(p), true, nil
	}
	if len(o.in) < 2 || len(o.in) < 2+int(binary.BigEndian.Uint16(o.in)) {
		o.part, o.in = append([]byte(nil), o.in...), nil
		return nil, false, nil
	}
	n := 2 + int(binary.BigEndian.Uint16(o.in))
	p := o.in[2:n]
	o.in = o.in[n:]
	return turn(p), true, nil
}

var ones = bytes.Repeat([]byte{0xff}, recordMax)

func turn(p []byte) []byte {
	subtle.XORBytes(p, p, ones)
	return p
}

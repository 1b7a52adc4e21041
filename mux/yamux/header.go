package yamux

import "encoding/binary"

// HeaderSize is the length of every frame's header in bytes.
const HeaderSize = 12

// FrameType is the second byte of a header.
type FrameType uint8

// The frame types of the specification.
const (
	TypeData FrameType = iota
	TypeWindowUpdate
	TypePing
	TypeGoAway
)

// Flags are the third and fourth byte of a header.
type Flags uint16

// The flags of the specification.
const (
	FlagSYN Flags = 1 << iota
	FlagACK
	FlagFIN
	FlagRST

	allFlags = FlagSYN | FlagACK | FlagFIN | FlagRST
)

// Header is a frame's header; the version is always 0.
type Header struct {
	Type   FrameType
	Flags  Flags
	ID     uint32
	Length uint32
}

// ParseHeader reads a header from the first HeaderSize bytes of b.
func ParseHeader(b []byte) (Header, error) {
	if len(b) < HeaderSize {
		return Header{}, ErrShortHeader
	}
	h := Header{
		Type:   FrameType(b[1]),
		Flags:  Flags(binary.BigEndian.Uint16(b[2:])),
		ID:     binary.BigEndian.Uint32(b[4:]),
		Length: binary.BigEndian.Uint32(b[8:]),
	}
	switch {
	case b[0] != 0:
		return Header{}, ErrVersion
	case h.Type > TypeGoAway:
		return Header{}, ErrType
	case h.Flags&^allFlags != 0:
		return Header{}, ErrFlags
	}
	return h, nil
}

// Append appends the header's wire form to dst.
func (h Header) Append(dst []byte) []byte {
	dst = append(dst, 0, byte(h.Type))
	dst = binary.BigEndian.AppendUint16(dst, uint16(h.Flags))
	dst = binary.BigEndian.AppendUint32(dst, h.ID)
	return binary.BigEndian.AppendUint32(dst, h.Length)
}

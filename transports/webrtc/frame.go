package webrtc

import (
	"encoding/binary"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// flag is what a frame says about its stream. webrtc/README.md, "Multiplexing".
type flag uint8

const (
	noFlag flag = iota
	flagFin
	flagStopSending
	flagReset
	flagFinAck
)

const (
	// maxFrame: "Encoded messages including their length prefix MUST NOT exceed 16kiB".
	maxFrame = 16 << 10
	// frameOverhead is the most that a frame adds to the bytes it carries: two bytes of length, a tag
	// and two bytes of length for the bytes.
	frameOverhead = 2 + 1 + 2
	// smallest is a frame with one byte in it.
	smallest = 1 + 2 + 1
	// maxPayload is the most that one frame carries.
	maxPayload = maxFrame - frameOverhead

	fieldFlag    protowire.Number = 1
	fieldMessage protowire.Number = 2
	fieldCode    protowire.Number = 3
	// fieldWindow is ours: how many bytes of a stream its sender allows, counted from the stream's
	// begin. Others skip it. doc.go has the reason.
	fieldWindow protowire.Number = 1025
)

var (
	errFrameSize   = errors.New("a frame larger than 16 KiB")
	errFrameVarint = errors.New("a frame whose length is no varint")
	errFrame       = errors.New("a malformed frame")
)

// frame is one message of a data channel. Data is borrowed.
type frame struct {
	flag   flag
	code   uint32 // of flagStopSending and flagReset
	window uint64 // 0: says nothing
	data   []byte
}

// appendFrame appends f, which carries at most maxPayload bytes, with its length.
func appendFrame(dst []byte, f frame) []byte {
	dst = binary.AppendUvarint(dst, uint64(f.size()))
	if f.flag != noFlag {
		dst = protowire.AppendTag(dst, fieldFlag, protowire.VarintType)
		dst = protowire.AppendVarint(dst, uint64(f.flag-1))
	}
	if len(f.data) > 0 {
		dst = protowire.AppendTag(dst, fieldMessage, protowire.BytesType)
		dst = protowire.AppendBytes(dst, f.data)
	}
	if f.hasCode() {
		dst = protowire.AppendTag(dst, fieldCode, protowire.VarintType)
		dst = protowire.AppendVarint(dst, uint64(f.code))
	}
	if f.window != 0 {
		dst = protowire.AppendTag(dst, fieldWindow, protowire.VarintType)
		dst = protowire.AppendVarint(dst, f.window)
	}
	return dst
}

func (f frame) hasCode() bool { return f.flag == flagReset || f.flag == flagStopSending }

// size is the length of the message without its prefix.
func (f frame) size() int {
	n := 0
	if f.flag != noFlag {
		n += 2
	}
	if len(f.data) > 0 {
		n += protowire.SizeTag(fieldMessage) + protowire.SizeBytes(len(f.data))
	}
	if f.hasCode() {
		n += protowire.SizeTag(fieldCode) + protowire.SizeVarint(uint64(f.code))
	}
	if f.window != 0 {
		n += protowire.SizeTag(fieldWindow) + protowire.SizeVarint(f.window)
	}
	return n
}

// nextFrame reads the frame that p begins with. size is how many bytes of p it takes; 0 without an
// error means that p is too short.
func nextFrame(p []byte) (f frame, size int, err error) {
	length, n := binary.Uvarint(p[:min(len(p), 3)])
	switch {
	case n == 0 && len(p) < 3:
		return frame{}, 0, nil
	case n <= 0: // 16 KiB need three bytes, and more than that are never allowed
		return frame{}, 0, errFrameVarint
	case length+uint64(n) > maxFrame:
		return frame{}, 0, fmt.Errorf("%w: %d bytes", errFrameSize, length)
	case uint64(len(p)-n) < length:
		return frame{}, 0, nil
	}
	f, err = parseFrame(p[n : n+int(length)])
	return f, n + int(length), err
}

// parseFrame reads a message. Of a field that comes twice the last counts, as protobuf has it. Fields
// of others are skipped.
func parseFrame(p []byte) (f frame, err error) {
	for len(p) > 0 {
		num, typ, n := protowire.ConsumeTag(p)
		if n < 0 {
			return frame{}, errFrame
		}
		p = p[n:]
		var v uint64
		switch {
		case num == fieldMessage && typ == protowire.BytesType:
			f.data, n = protowire.ConsumeBytes(p)
		case typ == protowire.VarintType:
			v, n = protowire.ConsumeVarint(p)
		default:
			n = protowire.ConsumeFieldValue(num, typ, p)
		}
		if n < 0 {
			return frame{}, errFrame
		}
		p = p[n:]
		if typ != protowire.VarintType {
			continue
		}
		switch num {
		case fieldFlag:
			if f.flag = noFlag; uint32(v) <= uint32(flagFinAck-1) { // proto2 treats unknown values as absent
				f.flag = flag(uint32(v)) + 1 // of 32 bits
			}
		case fieldCode:
			f.code = uint32(min(v, 1<<32-1))
		case fieldWindow:
			f.window = v
		}
	}
	return f, nil
}

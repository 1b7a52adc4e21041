package webrtc

import "encoding/binary"

// The Data Channel Establishment Protocol, RFC 8832, as far as libp2p's streams need it: reliable,
// ordered channels, opened in band.
const (
	dcepAck  = 0x02
	dcepOpen = 0x03

	// dcepOpenSize is the header of an open; label and protocol follow.
	dcepOpenSize = 12
	// maxOpen bounds what an open may cost: libp2p's label is empty.
	maxOpen = 1 << 10

	channelReliable = 0x00
)

// openMessage opens a channel. webrtc/README.md: "implementations MUST pass an empty string" as label.
func openMessage() []byte {
	m := make([]byte, dcepOpenSize)
	m[0], m[1] = dcepOpen, channelReliable
	return m
}

// isOpen says that p opens a channel that carries streams. A label is allowed: "implementations MUST
// NOT require label to be an empty string". Channels that may lose or reorder messages are not.
func isOpen(p []byte) bool {
	if len(p) < dcepOpenSize || p[0] != dcepOpen || p[1] != channelReliable {
		return false
	}
	label, protocol := binary.BigEndian.Uint16(p[8:]), binary.BigEndian.Uint16(p[10:])
	return len(p) == dcepOpenSize+int(label)+int(protocol)
}

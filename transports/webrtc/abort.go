package webrtc

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/troupe-p2p/troupe/transports/internal/muxed"
)

// libp2p has no code for the end of a WebRTC connection. An SCTP ABORT has room for the reason of
// whoever used SCTP (RFC 4960, section 3.3.10.12), which is where ours goes; others show it or ignore it:
//
//	0x00001002: too many of something

const (
	sctpHeader = 12
	chunkAbort = 6
	causeUser  = 12
	chunkSize  = 4 // of the header of a chunk, and of a cause
	codeDigits = 8
)

// abortText is what a remote is told about a close.
func abortText(code uint32, reason string) string {
	if code == 0 && reason == "" {
		return ""
	}
	text := fmt.Sprintf("0x%0*x", codeDigits, code)
	if reason != "" {
		text += ": " + muxed.Shorten(reason)
	}
	return text
}

// abortReason is the other direction. A text that is not ours has code 0.
func abortReason(text string) (code uint32, reason string) {
	head, rest, _ := strings.Cut(text, ": ")
	digits, ok := strings.CutPrefix(head, "0x")
	if !ok || len(digits) != codeDigits {
		return 0, text
	}
	n, err := strconv.ParseUint(digits, 16, 32)
	if err != nil {
		return 0, text
	}
	return uint32(n), rest
}

// aborted looks for an ABORT in an SCTP packet and returns the reason in it, which may be empty. An ABORT
// ends a packet: RFC 4960, section 3.3.7: "DATA chunks MUST NOT be bundled with ABORT. Control chunks
// ... MAY be bundled with an ABORT, but they MUST be placed before the ABORT".
func aborted(packet []byte) (text string, ok bool) {
	if len(packet) < sctpHeader {
		return "", false
	}
	for p := packet[sctpHeader:]; len(p) >= chunkSize; {
		size := int(binary.BigEndian.Uint16(p[2:]))
		if size < chunkSize || size > len(p) {
			return "", false
		}
		if p[0] == chunkAbort {
			return userReason(p[chunkSize:size]), true
		}
		p = p[min(padded(size), len(p)):]
	}
	return "", false
}

func userReason(causes []byte) string {
	for p := causes; len(p) >= chunkSize; {
		size := int(binary.BigEndian.Uint16(p[2:]))
		if size < chunkSize || size > len(p) {
			return ""
		}
		if binary.BigEndian.Uint16(p) == causeUser {
			return string(p[chunkSize:min(size, chunkSize+muxed.MaxReason+codeDigits+4)])
		}
		p = p[min(padded(size), len(p)):]
	}
	return ""
}

func padded(n int) int { return (n + 3) &^ 3 }

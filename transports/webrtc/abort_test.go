package webrtc

import (
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/troupe-p2p/troupe/transports/internal/muxed"
)

// abortPacket is an SCTP packet with a SACK-like chunk and an ABORT, as others may bundle them.
func abortPacket(text string) []byte {
	p := make([]byte, sctpHeader)
	p = append(p, 3, 0, 0, 6, 9, 9, 0, 0) // a chunk of two bytes, padded
	size := chunkSize + chunkSize + len(text)
	p = append(p, chunkAbort, 0)
	p = binary.BigEndian.AppendUint16(p, uint16(size))
	p = binary.BigEndian.AppendUint16(p, causeUser)
	p = binary.BigEndian.AppendUint16(p, uint16(chunkSize+len(text)))
	return append(p, text...)
}

func TestCodesOfACloseComeAcross(t *testing.T) {
	for _, c := range []struct {
		code   uint32
		reason string
	}{{0, ""}, {1, ""}, {0, "bye"}, {0x1002, "too many of something"}, {1<<32 - 1, strings.Repeat("é", 1000)}} {
		text, ok := aborted(abortPacket(abortText(c.code, c.reason)))
		if !ok {
			t.Fatalf("%+v is not seen", c)
		}
		code, reason := abortReason(text)
		if code != c.code || reason != muxed.Shorten(c.reason) || !utf8.ValidString(reason) {
			t.Errorf("%#x %q came as %#x %q", c.code, c.reason, code, reason)
		}
	}
}

func TestReasonsOfOthersAreShown(t *testing.T) {
	for _, text := range []string{"", "shutting down", "0x12: short", "0xGGGGGGGG: what", "0x000010020: nine"} {
		if code, reason := abortReason(text); code != 0 || reason != text {
			t.Errorf("%q: %#x, %q", text, code, reason)
		}
	}
}

func TestAbortsThatAreCutShortAreNone(t *testing.T) {
	whole := abortPacket("0x00000001: why")
	for n := range whole {
		if text, ok := aborted(whole[:n]); ok {
			t.Errorf("%d of %d bytes: %q", n, len(whole), text)
		}
	}
}

func FuzzAbort(f *testing.F) {
	f.Add(abortPacket("0x00000001: why"))
	f.Fuzz(func(t *testing.T, p []byte) {
		text, ok := aborted(p)
		if len(text) > len(p) || !ok && text != "" {
			t.Fatalf("%q", text)
		}
		abortReason(text)
	})
}

package muxed

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestACodeSaysWhoseItIs(t *testing.T) {
	for want, e := range map[string]*CodeError{
		"quic: remote: stream reset, code 0x10":              {Transport: "quic", Code: 16, Remote: true, Op: "stream reset"},
		"memory: local: connection closed, code 0x0: enough": {Transport: "memory", Op: "connection closed", Reason: "enough"},
	} {
		if got := e.Error(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestReasonsAreShortenedBetweenCharacters(t *testing.T) {
	for _, s := range []string{"", "short", strings.Repeat("x", MaxReason), strings.Repeat("x", MaxReason+1), strings.Repeat("€", MaxReason)} {
		got := Shorten(s)
		if len(got) > MaxReason || len(s) <= MaxReason && got != s || !utf8.ValidString(got) || !strings.HasPrefix(s, got) || len(s) > MaxReason && len(got) < MaxReason-2 {
			t.Errorf("%d bytes became %d", len(s), len(got))
		}
	}
}

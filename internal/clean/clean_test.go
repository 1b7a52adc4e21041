package clean

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestWhatATerminalWouldActOnIsTakenOut(t *testing.T) {
	for in, want := range map[string]string{
		"":                               "",
		"go-libp2p/0.51.0 (linux)":       "go-libp2p/0.51.0 (linux)",
		"größer ☺ 日本":                    "größer ☺ 日本",
		"\uFFFD is a character":          "\uFFFD is a character",
		"\x1b[2Jready":                   "?[2Jready",
		"a\x07b\x00c\x7fd\u009be":        "a?b?c?d?e",
		"\u202egnp.exe \u2066x\u200b":    "?gnp.exe ?x?",
		"not \xff utf \xc3":              "not ? utf ?",
		"\n one\r\n\ntwo\nthree\n":       " one; two; three",
		"tab\tand\u00a0space\u2028lines": "tab?and?space?lines",
	} {
		if got := Text(in, 100); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
		if Is(in) != (in == want) || Is([]byte(in)) != Is(in) {
			t.Errorf("%q: Is says %v", in, Is(in))
		}
	}
}

func TestTextIsCutAtItsBound(t *testing.T) {
	for in, want := range map[string]string{
		strings.Repeat("x", 10):       "xxxxxxxxxx",
		strings.Repeat("x", 11):       "xxxxxx ...",
		strings.Repeat("x", 1<<20):    "xxxxxx ...",
		strings.Repeat("ü", 6):        "üüü ...",
		strings.Repeat("a\n", 6):      "a; a;  ...",
		strings.Repeat("\xff", 11):    "?????? ...",
		"xxxxx" + "日本":                "xxxxx ...",
		"xxxxxxxxx" + "\x1b":          "xxxxxxxxx?",
		"xxxxxxxx" + "\n" + "yyyyyy":  "xxxxxx ...",
		strings.Repeat("\n", 1<<10):   "",
		strings.Repeat("x", 9) + "\n": "xxxxxxxxx",
	} {
		if got := Text(in, 10); got != want {
			t.Errorf("%.20q: %q, want %q", in, got, want)
		}
	}
	for most := range 5 {
		if got := Text("xxxxxxxx", most); len(got) > most {
			t.Errorf("%q has more than %d bytes", got, most)
		}
	}
}

func TestAnErrorKeepsItsKind(t *testing.T) {
	plain := fmt.Errorf("remote: %w", io.ErrUnexpectedEOF)
	if got := Error(plain); got != plain {
		t.Errorf("a clean error became %v", got)
	}
	got := Error(fmt.Errorf("\x1b[2J%s: %w", strings.Repeat("x", 1<<16), io.ErrUnexpectedEOF))
	if text := got.Error(); len(text) > MaxError || !strings.HasPrefix(text, "?[2Jxxx") {
		t.Errorf("%q", text)
	}
	if !errors.Is(got, io.ErrUnexpectedEOF) {
		t.Errorf("%v has lost its cause", got)
	}
	if Error(nil) != nil {
		t.Error("no error became one")
	}
}

func TestCleanTextIsNotCopied(t *testing.T) {
	s := strings.Repeat("ordinary text ", 20)
	if n := testing.AllocsPerRun(100, func() { _ = Text(s, 1<<10) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzText(f *testing.F) {
	f.Add("a\x1b\xff\n\u202e", 3)
	f.Add(strings.Repeat("日", 100), 17)
	f.Fuzz(func(t *testing.T, s string, most int) {
		most = max(0, min(most, 1<<12))
		got := Text(s, most)
		if len(got) > most || !utf8.ValidString(got) || !Is(got) {
			t.Fatalf("%q", got)
		}
		if strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("%q", got)
		}
		if again := Text(got, most); again != got {
			t.Fatalf("%q, and once more %q", got, again)
		}
	})
}

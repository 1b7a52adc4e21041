// Package clean makes what a remote wrote fit to be shown: in an event, the tree, a log, on a
// terminal.
//
//	\n, \r                                    "; "
//	not UTF-8, control, escape, direction     "?"
//	beyond the bound                          " ..."
//
// It is applied where a text enters the node, so that nobody behind has to think of it. Go's %q does
// as well, where somebody's words are quoted and their length is bounded.
package clean

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxError bounds the text of an error that quotes a remote.
const MaxError = 512

const more = " ..."

// Is says whether a name may be shown as it is.
func Is[T string | []byte](s T) bool {
	for rest := s; len(rest) > 0; {
		r, n := decode(rest)
		if !shows(r, n) {
			return false
		}
		rest = rest[n:]
	}
	return true
}

func decode[T string | []byte](s T) (rune, int) {
	if s[0] < utf8.RuneSelf {
		return rune(s[0]), 1
	}
	return utf8.DecodeRuneInString(string(s[:min(len(s), utf8.UTFMax)]))
}

// shows says whether a rune of n bytes does nothing but to be seen.
func shows(r rune, n int) bool { return unicode.IsPrint(r) && (r != utf8.RuneError || n > 1) }

// Text is what can be shown of s, in at most most bytes.
func Text(s string, most int) string {
	if len(s) <= most && Is(s) {
		return s
	}
	out := make([]byte, 0, min(len(s), most))
	for len(s) > 0 {
		r, n := decode(s)
		piece := s[:n]
		switch {
		case r == '\n' || r == '\r':
			n = len(s) - len(strings.TrimLeft(s, "\r\n"))
			if piece = "; "; len(out) == 0 || n == len(s) {
				piece = ""
			}
		case !shows(r, n):
			piece = "?"
		}
		if len(out)+len(piece) > most {
			return string(cut(out, most-len(more))) + more[:min(len(more), most)]
		}
		out = append(out, piece...)
		s = s[n:]
	}
	return string(out)
}

// cut shortens valid text to whole runes.
func cut(b []byte, most int) []byte {
	for len(b) > max(0, most) {
		_, n := utf8.DecodeLastRune(b)
		b = b[:len(b)-n]
	}
	return b
}

// Error is err with a text that can be shown. errors.Is and errors.As see through it.
func Error(err error) error {
	if err == nil {
		return nil
	}
	said := err.Error()
	if shown := Text(said, MaxError); shown != said {
		return &shownError{shown, err}
	}
	return err
}

type shownError struct {
	text string
	err  error
}

func (e *shownError) Error() string { return e.text }
func (e *shownError) Unwrap() error { return e.err }

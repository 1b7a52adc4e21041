package script

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/troupe-p2p/troupe/mux/yamux"
)

// Frame is a yamux frame, to send as it stands or to want.
type Frame struct {
	Type  yamux.FrameType
	Flags yamux.Flags
	ID    uint32
	// Length is the header's last field. Default of a data frame: the length of Body. A test
	// that wants to lie sets it.
	Length uint32
	Body   []byte
}

// Data is a data frame.
func Data(id uint32, flags yamux.Flags, body string) Frame {
	return Frame{Type: yamux.TypeData, Flags: flags, ID: id, Body: []byte(body)}
}

// Window is a window update. With yamux.FlagRST n is the reset's code.
func Window(id uint32, flags yamux.Flags, n uint32) Frame {
	return Frame{Type: yamux.TypeWindowUpdate, Flags: flags, ID: id, Length: n}
}

// Ping is a ping (yamux.FlagSYN) or its answer (yamux.FlagACK).
func Ping(flags yamux.Flags, opaque uint32) Frame {
	return Frame{Type: yamux.TypePing, Flags: flags, Length: opaque}
}

// GoAway ends a session.
func GoAway(code uint32) Frame { return Frame{Type: yamux.TypeGoAway, Length: code} }

func (f Frame) length() uint32 {
	if f.Type == yamux.TypeData && f.Length == 0 {
		return uint32(len(f.Body))
	}
	return f.Length
}

// Append implements Item.
func (f Frame) Append(dst []byte) []byte {
	dst = yamux.Header{Type: f.Type, Flags: f.Flags, ID: f.ID, Length: f.length()}.Append(dst)
	return append(dst, f.Body...)
}

func (f Frame) String() string {
	var b strings.Builder
	if int(f.Type) < 4 {
		b.WriteString([...]string{"data", "window", "ping", "goaway"}[f.Type])
	} else {
		fmt.Fprintf(&b, "type %d", f.Type)
	}
	for i, name := range []string{"SYN", "ACK", "FIN", "RST"} {
		if f.Flags&(1<<i) != 0 {
			b.WriteString(" " + name)
		}
	}
	if f.Type < yamux.TypePing {
		fmt.Fprintf(&b, " stream %d", f.ID)
	}
	fmt.Fprintf(&b, " %#x", f.length())
	if len(f.Body) > 0 {
		b.WriteString(" " + brief(f.Body))
	}
	return b.String()
}

// Match implements Matcher.
func (f Frame) Match(in []byte) (int, error) {
	return FrameLike(f.String(), func(g Frame) bool {
		return g.Type == f.Type && g.Flags == f.Flags && g.ID == f.ID && g.length() == f.length() && bytes.Equal(g.Body, f.Body)
	}).Match(in)
}

// Show implements Shower.
func (f Frame) Show(in []byte) string { return showFrames(in) }

// FrameLike wants a frame for which ok is true.
func FrameLike(what string, ok func(Frame) bool) Matcher { return frameLike{what, ok} }

type frameLike struct {
	what string
	ok   func(Frame) bool
}

func (l frameLike) String() string        { return l.what }
func (l frameLike) Show(in []byte) string { return showFrames(in) }
func (l frameLike) Match(in []byte) (int, error) {
	f, n, err := parseFrame(in)
	if err != nil {
		return 0, err
	}
	if !l.ok(f) {
		return 0, fmt.Errorf("it is %s", f)
	}
	return n, nil
}

// Later wants a frame, and takes whatever other frames come before it: pings and window updates
// come when they come.
func Later(m Matcher) Matcher { return later{m} }

type later struct{ m Matcher }

func (l later) String() string        { return l.m.String() + ", sooner or later" }
func (l later) Show(in []byte) string { return showFrames(in) }
func (l later) Match(in []byte) (int, error) {
	for at := 0; ; {
		n, err := l.m.Match(in[at:])
		if err == nil || errors.Is(err, ErrMore) {
			return at + n, err
		}
		_, n, err = parseFrame(in[at:])
		if err != nil {
			return 0, err
		}
		at += n
	}
}

func parseFrame(in []byte) (Frame, int, error) {
	if len(in) < yamux.HeaderSize {
		return Frame{}, 0, ErrMore
	}
	h, err := yamux.ParseHeader(in)
	if err != nil {
		return Frame{}, 0, err
	}
	f, n := Frame{Type: h.Type, Flags: h.Flags, ID: h.ID, Length: h.Length}, yamux.HeaderSize
	if h.Type == yamux.TypeData {
		if h.Length > maxDelimited {
			return Frame{}, 0, fmt.Errorf("%s is too long to wait for", f)
		}
		if len(in)-n < int(h.Length) {
			return Frame{}, 0, ErrMore
		}
		f.Body = in[n : n+int(h.Length)]
		n += int(h.Length)
	}
	return f, n, nil
}

// maxShown is how many frames are shown from the beginning, and how many from the end.
const maxShown = 8

func showFrames(in []byte) string {
	var all []string
	for len(in) > 0 {
		f, n, err := parseFrame(in)
		if err != nil {
			all = append(all, brief(in))
			break
		}
		all = append(all, f.String())
		in = in[n:]
	}
	if n := len(all) - 2*maxShown; n > 0 {
		all = append(append(all[:maxShown:maxShown], fmt.Sprintf("%d more", n)), all[maxShown+n:]...)
	}
	return strings.Join(all, ", ")
}

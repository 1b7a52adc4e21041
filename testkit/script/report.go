package script

import (
	"encoding/hex"
	"fmt"
	"strings"
)

const (
	// maxLog is how many lines of a dialogue are kept, maxHex how many bytes are shown.
	maxLog = 500
	maxHex = 256
)

// note adds a line to the dialogue. It is called with the peer's lock held.
func (c *Channel) note(format string, args ...any) {
	p := c.p
	line := fmt.Sprintf("%10.6fs %s %s", p.d.Now().Sub(p.since).Seconds(), c.label, fmt.Sprintf(format, args...))
	p.log = append(p.log, line)
	if len(p.log) > maxLog {
		p.log = p.log[1:]
	}
}

// Dialogue is what was said so far, a line each.
func (p *Peer) Dialogue() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.log, "\n")
}

func (c *Channel) fail(reason, wanted string, m Matcher, why string) {
	c.p.t.Helper()
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	c.failLocked(reason, wanted, m, why)
}

// failLocked ends the test.
func (c *Channel) failLocked(reason, wanted string, m Matcher, why string) {
	c.p.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n  wanted: %s\n  but:    %s\n  came:   ", c.label, reason, wanted, why)
	if len(c.in) == 0 {
		b.WriteString("nothing\n")
	} else {
		fmt.Fprintf(&b, "%d bytes\n", len(c.in))
		if s, ok := m.(Shower); ok {
			fmt.Fprintf(&b, "    %s\n", s.Show(c.in))
		}
		for line := range strings.Lines(hex.Dump(c.in[:min(len(c.in), maxHex)])) {
			b.WriteString("    " + line)
		}
	}
	if c.end != nil {
		fmt.Fprintf(&b, "  ended:  %v\n", c.end)
	}
	b.WriteString("  dialogue:\n")
	for _, line := range c.p.log {
		b.WriteString("    " + line + "\n")
	}
	c.p.t.Fatal(b.String())
}

// shown is what was matched, in words.
func shown(m Matcher, got []byte) string {
	if s, ok := m.(Shower); ok {
		return s.Show(got)
	}
	return brief(got)
}

// brief quotes bytes that are text for the most part, and shows others in hex.
func brief(b []byte) string {
	const most = 64
	text := 0
	for _, c := range b {
		if c >= ' ' && c < 0x7f || c == '\n' {
			text++
		}
	}
	form := "% x%s"
	if 2*text >= len(b) {
		form = "%q%s"
	}
	more := ""
	if n := len(b) - most; n > 0 {
		b, more = b[:most], fmt.Sprintf(" and %d bytes more", n)
	}
	return fmt.Sprintf(form, b, more)
}

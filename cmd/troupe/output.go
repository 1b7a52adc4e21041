package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/troupe-p2p/troupe/internal/clean"
)

// output is a command's stdout: JSON lines for programs or text for people. Its methods may be
// called from any goroutine.
type output struct {
	json bool

	mu  sync.Mutex
	w   io.Writer
	err error // the first that a write met
}

// say writes one event: v as a line of JSON, or the text. Each is one write, so that a reader
// never sees half a line of an event that another follows.
func (o *output) say(v any, format string, args ...any) {
	if !o.json {
		o.tell(format, args...)
		return
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // our own types can be encoded
	}
	o.write(b.String())
}

// tell writes what is for people only.
func (o *output) tell(format string, args ...any) {
	if !o.json {
		o.write(fmt.Sprintf(format, args...) + "\n")
	}
}

func (o *output) write(s string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, err := io.WriteString(o.w, s); err != nil && o.err == nil {
		o.err = fmt.Errorf("local: cannot write to stdout: %w", err)
	}
}

// Err is the first error that a write met.
func (o *output) Err() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// milliseconds is a duration as the JSON lines show it, to the microsecond.
func milliseconds(d time.Duration) float64 { return math.Round(float64(d)/1e3) / 1e3 }

// maxText bounds a text that a remote had a part in.
const maxText = 1024

// plain is a text that a remote may have had a part in, safe for a terminal and on one line.
func plain(s string) string { return clean.Text(s, maxText) }

// oneLine joins the lines of a text, of which errors.Join makes several.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}

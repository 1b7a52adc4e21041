package contract

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Result is what the dialer has measured.
type Result struct {
	HandshakePlusOneRTT time.Duration // from the dial to the first ping's answer
	PingRTT             time.Duration // of that ping
}

// report is the result in JSON. The third l of the second name is the contract's.
type report struct {
	HandshakePlusOneRTT json.Number `json:"handshakePlusOneRTTMillis"`
	PingRTT             json.Number `json:"pingRTTMilllis"`
}

// Write prints the result as the suite wants to read it.
func (r Result) Write(w io.Writer, d Dialect) error {
	handshake, ping := millis(r.HandshakePlusOneRTT), millis(r.PingRTT)
	if d == UnifiedTesting {
		_, err := fmt.Fprintf(w, "latency:\n  handshake_plus_one_rtt: %s\n  ping_rtt: %s\n  unit: ms\n", handshake, ping)
		return err
	}
	return json.NewEncoder(w).Encode(report{HandshakePlusOneRTT: handshake, PingRTT: ping})
}

// millis is a number without an exponent, which not every reader of the suites takes.
func millis(d time.Duration) json.Number {
	return json.Number(strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 3, 64))
}

var yamlReport = regexp.MustCompile(
	`^(?:#.*\n)?latency:\n  handshake_plus_one_rtt: ([0-9.]+)\n  ping_rtt: ([0-9.]+)\n  unit: ms\n$`)

// ParseResult reads all that a dialer has printed, as strictly as the suites' own scripts: nothing
// may stand beside the result, but for a comment.
func ParseResult(d Dialect, printed string) (Result, error) {
	var in report
	if d == UnifiedTesting {
		m := yamlReport.FindStringSubmatch(printed)
		if m == nil {
			return Result{}, fmt.Errorf("not the YAML of %s: %q", d, printed)
		}
		in = report{json.Number(m[1]), json.Number(m[2])}
	} else {
		dec := json.NewDecoder(strings.NewReader(printed))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&in); err != nil {
			return Result{}, fmt.Errorf("not the JSON of %s: %q: %w", d, printed, err)
		}
		if _, err := dec.Token(); !errors.Is(err, io.EOF) {
			return Result{}, fmt.Errorf("more than the JSON of %s: %q", d, printed)
		}
	}
	handshake, err := in.HandshakePlusOneRTT.Float64()
	if err != nil {
		return Result{}, fmt.Errorf("no time of the handshake: %q: %w", printed, err)
	}
	ping, err := in.PingRTT.Float64()
	if err != nil {
		return Result{}, fmt.Errorf("no time of the ping: %q: %w", printed, err)
	}
	// js-libp2p's own peer counts whole milliseconds, so a ping may have taken none.
	if !(handshake > 0 && ping >= 0 && ping <= math.Ceil(handshake)) {
		return Result{}, fmt.Errorf("a handshake with a ping in %v ms, the ping in %v ms", handshake, ping)
	}
	return Result{duration(handshake), duration(ping)}, nil
}

func duration(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }

package contract

import (
	"strings"
	"testing"
	"time"
)

// The suites read these with scripts of their own, so every byte counts, and every l.
func TestResultsAreWrittenAsTheSuitesReadThem(t *testing.T) {
	r := Result{HandshakePlusOneRTT: 12345678 * time.Nanosecond, PingRTT: 599 * time.Microsecond}
	for d, want := range map[Dialect]string{
		TestPlans:      `{"handshakePlusOneRTTMillis":12.345,"pingRTTMilllis":0.599}` + "\n",
		UnifiedTesting: "latency:\n  handshake_plus_one_rtt: 12.345\n  ping_rtt: 0.599\n  unit: ms\n",
	} {
		var b strings.Builder
		if err := r.Write(&b, d); err != nil || b.String() != want {
			t.Errorf("%s: got %q, %v, want %q", d, b.String(), err, want)
		}
		back, err := ParseResult(d, b.String())
		if err != nil || back.PingRTT != r.PingRTT || back.HandshakePlusOneRTT != 12345*time.Microsecond {
			t.Errorf("%s: read back as %+v, %v", d, back, err)
		}
	}
	// No exponents, which the shell scripts would not take, however long or short it was.
	var b strings.Builder
	if err := (Result{HandshakePlusOneRTT: 3 * time.Hour, PingRTT: time.Microsecond}).Write(&b, TestPlans); err != nil ||
		b.String() != `{"handshakePlusOneRTTMillis":10800000.000,"pingRTTMilllis":0.001}`+"\n" {
		t.Errorf("got %q, %v", b.String(), err)
	}
}

func TestParseResultTakesNothingElse(t *testing.T) {
	for _, printed := range []string{
		"", "{}", "null",
		`{"handshakePlusOneRTTMillis":5}`,
		`{"handshakePlusOneRTTMillis":5,"pingRTTMillis":1}`, // with two l's
		`{"handshakePlusOneRTTMillis":5,"pingRTTMilllis":1,"more":1}`,
		`{"handshakePlusOneRTTMillis":5,"pingRTTMilllis":1}{}`,
		"listening\n" + `{"handshakePlusOneRTTMillis":5,"pingRTTMilllis":1}`,
		`{"handshakePlusOneRTTMillis":0,"pingRTTMilllis":0}`,
		`{"handshakePlusOneRTTMillis":5,"pingRTTMilllis":-1}`,
		`{"handshakePlusOneRTTMillis":5,"pingRTTMilllis":50}`,
	} {
		if r, err := ParseResult(TestPlans, printed); err == nil {
			t.Errorf("%q is taken as %+v", printed, r)
		}
	}
	for _, printed := range []string{
		"", "latency:\n", "latency:\n  handshake_plus_one_rtt: 5\n  ping_rtt: 1\n  unit: s\n",
		"latency:\n  handshake_plus_one_rtt: 5\n  ping_rtt: 1\n  unit: ms\nmore: 1\n",
		"dialling\nlatency:\n  handshake_plus_one_rtt: 5\n  ping_rtt: 1\n  unit: ms\n",
		"latency:\n  handshake_plus_one_rtt: 5.5.5\n  ping_rtt: 1\n  unit: ms\n",
		"latency:\n  handshake_plus_one_rtt: 1\n  ping_rtt: 5\n  unit: ms\n",
	} {
		if r, err := ParseResult(UnifiedTesting, printed); err == nil {
			t.Errorf("%q is taken as %+v", printed, r)
		}
	}
	const commented = "# Measurements from dialer\nlatency:\n  handshake_plus_one_rtt: 5\n  ping_rtt: 0\n  unit: ms\n"
	if _, err := ParseResult(UnifiedTesting, commented); err != nil {
		t.Errorf("go-libp2p's patch prints a comment first: %v", err)
	}
}

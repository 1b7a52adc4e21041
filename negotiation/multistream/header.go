package multistream

import (
	"bytes"
	"fmt"
)

// checkFirst looks at the first bytes of a negotiation, as many as have come. The first one is the
// header's length or the remote speaks something else; its message may never be complete then.
func checkFirst(p []byte) error {
	if len(p) == 0 || int(p[0]) == headerLen {
		return nil
	}
	if what := foreign(p); what != "" {
		return fmt.Errorf("%w: remote speaks %s", ErrProtocol, what)
	}
	if bytes.HasPrefix(p[1:], []byte("/multistream/")) {
		return badHeader(p[1:])
	}
	return fmt.Errorf("%w: connection begins with %s", ErrProtocol, quote(p))
}

// foreign names what else the first bytes may be; empty if that is not known.
func foreign(p []byte) string {
	if len(p) >= 2 && p[1] == 3 { // the record's version
		switch p[0] {
		case 0x15:
			return "TLS (an alert)"
		case 0x16:
			return "TLS (a hello without multistream-select)"
		}
	}
	for _, c := range []struct{ begins, is string }{
		{"PRI * HTTP/2", "HTTP/2"}, {"HTTP/", "HTTP (a response)"}, {"SSH-", "SSH"},
		{"GET ", "HTTP"}, {"HEAD ", "HTTP"}, {"POST ", "HTTP"}, {"PUT ", "HTTP"}, {"DELETE ", "HTTP"},
		{"CONNECT ", "HTTP"}, {"OPTIONS ", "HTTP"}, {"TRACE ", "HTTP"}, {"PATCH ", "HTTP"},
	} {
		if bytes.HasPrefix(p, []byte(c.begins)) {
			return c.is
		}
	}
	return ""
}

func isID(msg []byte) bool      { return string(msg) == ID }
func isRefusal(msg []byte) bool { return string(msg) == refusal }

func badHeader(msg []byte) error {
	what := "first message is " + quote(msg)
	if bytes.HasPrefix(msg, []byte("/multistream/")) {
		what = "remote speaks another version, " + quote(msg)
	}
	return fmt.Errorf("%w: %s", ErrProtocol, what)
}

package addrs

import (
	"fmt"
	"net/netip"
	"strings"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/rawaddr"
)

// The kinds of failure of Parse and ParseString.
var (
	// ErrMalformed: not a multiaddr, or not one that can be shown to people.
	ErrMalformed = rawaddr.ErrMalformed
	// ErrLimit: more bytes or components than this node takes.
	ErrLimit = rawaddr.ErrLimit
)

// maxText is the longest text that ParseString looks at. Escapes make text longer than bytes.
const maxText = 4 * rawaddr.MaxBytes

// Parse reads the binary form, as a remote sends it. The result holds no reference to b.
func Parse(b []byte) (ma.Multiaddr, error) { return rawaddr.Parse(b) }

// ParseString reads what a user wrote. The error is one line that names the part at fault.
func ParseString(s string) (ma.Multiaddr, error) {
	if len(s) > maxText {
		return nil, fmt.Errorf("%w: text of %d characters", ErrLimit, len(s))
	}
	a, err := ma.NewMultiaddr(s)
	if err != nil {
		return nil, fmt.Errorf("%w: %q: %s", ErrMalformed, s, fault(s))
	}
	if err := rawaddr.Check(a); err != nil {
		return nil, fmt.Errorf("%q: %w", s, err)
	}
	return a, nil
}

// fault finds out what is wrong with text that go-multiaddr refuses, whose own errors repeat the
// text and name the fault in the terms of its parsers.
func fault(s string) string {
	if s == "" {
		return "it is empty"
	}
	if s[0] != '/' {
		if ap, err := netip.ParseAddrPort(s); err == nil {
			return "it must begin with a slash: write " + FromAddrPort("tcp", ap).String()
		}
		if host, port, ok := strings.Cut(s, ":"); ok && isHostname(host) && port != "" && strings.Trim(port, "0123456789") == "" {
			return "it must begin with a slash: write /dns/" + host + "/tcp/" + port
		}
		return "it must begin with a slash"
	}
	parts := strings.Split(strings.TrimRight(s, "/"), "/")[1:]
	if len(parts) == 0 {
		return "it has no components"
	}
	for len(parts) > 0 {
		p := ma.ProtocolWithName(parts[0])
		switch {
		case parts[0] == "":
			return "a component has no name (two slashes in a row)"
		case p.Code == 0:
			return fmt.Sprintf("%q is not a protocol", parts[0])
		case p.Size == 0:
			parts = parts[1:]
			continue
		case len(parts) == 1:
			return fmt.Sprintf("/%s lacks its value", p.Name)
		case p.Path:
			return fmt.Sprintf("%q is not a value of /%s", strings.Join(parts[1:], "/"), p.Name)
		}
		if _, err := ma.NewComponent(p.Name, parts[1]); err != nil {
			return wrongValue(p, parts[1])
		}
		parts = parts[2:]
	}
	return "its components do not fit together"
}

// isHostname is only for the suggestion above, so it takes the plain ones.
func isHostname(s string) bool {
	return s != "" && strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789-._") == ""
}

func wrongValue(p ma.Protocol, value string) string {
	switch p.Code {
	case ma.P_IP4:
		return fmt.Sprintf("%q is not an IPv4 address", value)
	case ma.P_IP6:
		return fmt.Sprintf("%q is not an IPv6 address", value)
	case ma.P_TCP, ma.P_UDP:
		return fmt.Sprintf("%q is not a port (0 to 65535)", value)
	case ma.P_P2P:
		if _, err := identity.Decode(value); err != nil {
			return err.Error()
		}
	}
	return fmt.Sprintf("%q is not a value of /%s", value, p.Name)
}

package inspect

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/netip"
	"strings"
)

// maxInFlight is how many requests are worked on at a time. A page walks the whole tree; it stops
// programs on this machine that ask faster than that from taking the node's time and memory.
const maxInFlight = 8

// guard lets those through who may look.
type guard struct {
	cfg   Config
	token [sha256.Size]byte
	slots chan struct{}
	pages http.Handler
}

func newGuard(cfg Config, pages http.Handler) *guard {
	return &guard{
		cfg: cfg, token: sha256.Sum256([]byte(cfg.Token)), slots: make(chan struct{}, maxInFlight), pages: pages,
	}
}

// ServeHTTP implements http.Handler.
func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	select {
	case g.slots <- struct{}{}:
		defer func() { <-g.slots }()
	default:
		http.Error(w, "too many requests at a time", http.StatusServiceUnavailable)
		return
	}
	switch {
	case !g.knows(r.Host):
		http.Error(w, "this Host is not served here: ask for an IP address or localhost", http.StatusForbidden)
	case !g.admits(r.Header.Values("Authorization")):
		h.Set("WWW-Authenticate", `Bearer realm="troupe"`)
		http.Error(w, "a token is needed: Authorization: Bearer TOKEN", http.StatusUnauthorized)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "these pages can only be read", http.StatusMethodNotAllowed)
	default:
		g.pages.ServeHTTP(w, r)
	}
}

// knows tells whether a Host header can only have come from somebody who knows this machine: an
// attacker's page can make a browser ask here, but only under a name of the attacker's.
func (g *guard) knows(host string) bool {
	name := hostOf(host)
	if g.cfg.Host != "" && strings.EqualFold(name, hostOf(g.cfg.Host)) {
		return true
	}
	return IsLocalName(name) || isIP(name)
}

// admits compares in constant time, and hashes first so that the length is not told either.
func (g *guard) admits(authorization []string) bool {
	if g.cfg.Token == "" {
		return true
	}
	if len(authorization) != 1 {
		return false
	}
	scheme, token, _ := strings.Cut(authorization[0], " ")
	given := sha256.Sum256([]byte(strings.TrimSpace(token)))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(given[:], g.token[:]) == 1
}

// hostOf is a Host header without its port and without the brackets of IPv6.
func hostOf(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && strings.IndexByte(host[i:], ']') < 0 &&
		(strings.HasPrefix(host, "[") || strings.IndexByte(host, ':') == i) {
		host = host[:i]
	}
	return strings.Trim(host, "[]")
}

// IsLocalName tells whether a host name always means this machine (RFC 6761, section 6.3).
func IsLocalName(host string) bool {
	return strings.EqualFold(strings.TrimSuffix(host, "."), "localhost")
}

func isIP(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

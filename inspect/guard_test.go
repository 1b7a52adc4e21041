package inspect

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
)

func TestGuardLetsInWhoMayLook(t *testing.T) {
	const token = "correct horse"
	for _, c := range []struct {
		why, method, host, auth string
		cfg                     Config
		code                    int
	}{
		{"an IP address", "GET", "127.0.0.1:4002", "", Config{}, 200},
		{"an IPv6 address", "GET", "[::1]:4002", "", Config{}, 200},
		{"an IPv6 address without a port", "GET", "[::1]", "", Config{}, 200},
		{"localhost", "GET", "localhost:4002", "", Config{}, 200},
		{"localhost in capitals, with a dot", "GET", "LOCALHOST.", "", Config{}, 200},
		{"the configured name", "GET", "node.example:4002", "", Config{Host: "node.example"}, 200},
		{"HEAD reads too", "HEAD", "127.0.0.1", "", Config{}, 200},
		{"a rebound name", "GET", "evil.example:4002", "", Config{}, 403},
		{"a name that ends like one", "GET", "localhost.evil.example", "", Config{}, 403},
		{"a name that begins like one", "GET", "127.0.0.1.evil.example", "", Config{}, 403},
		{"another name than the configured", "GET", "evil.example", "", Config{Host: "node.example"}, 403},
		{"no Host", "GET", "", "", Config{}, 403},
		{"a Host is checked before the token", "GET", "evil.example", "Bearer " + token, Config{Token: token}, 403},
		{"the token", "GET", "127.0.0.1", "Bearer " + token, Config{Token: token}, 200},
		{"the scheme is not case-sensitive", "GET", "127.0.0.1", "bearer " + token, Config{Token: token}, 200},
		{"no token", "GET", "127.0.0.1", "", Config{Token: token}, 401},
		{"an empty token", "GET", "127.0.0.1", "Bearer ", Config{Token: token}, 401},
		{"another token", "GET", "127.0.0.1", "Bearer correct hors", Config{Token: token}, 401},
		{"another scheme", "GET", "127.0.0.1", "Basic " + token, Config{Token: token}, 401},
		{"the token alone", "GET", "127.0.0.1", token, Config{Token: token}, 401},
		{"a token is checked before the method", "POST", "127.0.0.1", "", Config{Token: token}, 401},
		{"POST", "POST", "127.0.0.1", "", Config{}, 405},
		{"PUT", "PUT", "127.0.0.1", "", Config{}, 405},
		{"DELETE", "DELETE", "127.0.0.1", "", Config{}, 405},
		{"OPTIONS", "OPTIONS", "127.0.0.1", "", Config{}, 405},
		{"a method of the caller's own", "RESTART", "127.0.0.1", "", Config{}, 405},
	} {
		for _, path := range []string{"/", "/tree", "/metrics", "/healthz"} {
			r := httptest.NewRequest(c.method, path, nil)
			r.Host = c.host
			if c.auth != "" {
				r.Header.Set("Authorization", c.auth)
			}
			w := httptest.NewRecorder()
			New(fullNode(), c.cfg).ServeHTTP(w, r)
			if w.Code != c.code {
				t.Errorf("%s: %s %s with Host %q answers %d, want %d", c.why, c.method, path, c.host, w.Code, c.code)
			}
			if c.code == 405 && w.Header().Get("Allow") != "GET, HEAD" || c.code == 401 && w.Header().Get("WWW-Authenticate") == "" {
				t.Errorf("%s: %d without saying what is wanted: %v", c.why, c.code, w.Header())
			}
			if c.code != 200 && strings.Contains(w.Body.String(), "node-1") {
				t.Errorf("%s: %d, and yet %q", c.why, c.code, w.Body.String())
			}
			if w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("%s: headers %v", c.why, w.Header())
			}
		}
	}
}

func TestTwoTokensAreNone(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/tree", nil)
	r.Host = "127.0.0.1"
	r.Header["Authorization"] = []string{"Bearer right", "Bearer right"}
	w := httptest.NewRecorder()
	New(fullNode(), Config{Token: "right"}).ServeHTTP(w, r)
	if w.Code != http.StatusUnauthorized {
		t.Errorf("%d", w.Code)
	}
}

func TestRequestsAtOneTimeAreBounded(t *testing.T) {
	n := fullNode()
	n.enter, n.leave = make(chan struct{}), make(chan struct{})
	h := New(n, Config{})
	var wg sync.WaitGroup
	codes := make([]int, maxInFlight)
	for i := range codes {
		wg.Go(func() { codes[i] = get(h, "/tree").Code })
	}
	for range codes {
		<-n.enter
	}
	if w := get(h, "/tree"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("request %d at a time answers %d", maxInFlight+1, w.Code)
	}
	close(n.leave)
	wg.Wait()
	for i, code := range codes {
		if code != http.StatusOK {
			t.Errorf("request %d answers %d", i, code)
		}
	}
	go func() { <-n.enter }()
	if w := get(h, "/tree"); w.Code != http.StatusOK {
		t.Errorf("after they are through, a request answers %d", w.Code)
	}
}

// FuzzHost: whatever a Host header holds, it is let in only as an IP address or localhost.
func FuzzHost(f *testing.F) {
	for _, s := range []string{"", ":", "[", "]", "[]", "[::1]:80", "::1", "localhost:80", "127.0.0.1:80", "evil.example", "[localhost]", "a:b:c"} {
		f.Add(s)
	}
	g := newGuard(Config{}, nil)
	f.Fuzz(func(t *testing.T, host string) {
		if !g.knows(host) {
			return
		}
		name := hostOf(host)
		if _, err := netip.ParseAddr(name); err != nil && !strings.EqualFold(strings.TrimSuffix(name, "."), "localhost") {
			t.Errorf("%q is let in as %q", host, name)
		}
		if !strings.Contains(host, name) {
			t.Errorf("%q became %q", host, name)
		}
	})
}

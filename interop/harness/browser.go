package harness

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/troupe-p2p/troupe/interop/control"
)

// StartBrowser runs headless Chromium until the end of the test, with a page that is a js-libp2p peer. It trusts authorities
// and, beside them, the key of the certificate in a file of Certificate.
func StartBrowser(tb testing.TB, cert string) *Peer {
	tb.Helper()
	path, err := chromium()
	if err != nil {
		tb.Fatal(err)
	}
	node, err := nodeJS()
	if err != nil {
		tb.Fatal(err)
	}
	dir, err := moduleDir()
	if err != nil {
		tb.Fatal(err)
	}
	browser, site := filepath.Join(dir, "browser"), tb.TempDir()
	if _, err := os.Stat(filepath.Join(browser, "node_modules", "playwright-core")); err != nil {
		tb.Fatal("what the browser's page and its driver are made of is not installed: run make browser-deps")
	}
	// The driver puts the peer beside it.
	const index = "<!doctype html><link rel=icon href=data:,><script src=page.js type=module></script>\n"
	if err := os.WriteFile(filepath.Join(site, "index.html"), []byte(index), 0o600); err != nil {
		tb.Fatal(err)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(site)))
	tb.Cleanup(server.Close)
	args := []string{
		filepath.Join(browser, "driver.js"), "--chromium", path, "--site", site, "--page", server.URL, "--trust", keyHash(tb, cert),
	}
	// Whatever Chromium and its driver write is in folders that are gone with the test.
	env := append(home(tb), "TMPDIR="+tb.TempDir())
	return startPeer(tb, "browser", "browser", node, args, env)
}

// Reload makes another peer of the page. Those whom the last one was connected to are told nothing by it, as if its
// user had left.
func (p *Peer) Reload(tb testing.TB) {
	tb.Helper()
	p.ID = p.Must(tb, "the page is loaded again", control.Request{Cmd: control.Reload}).Peer
}

// keyHash is what Chromium knows a public key by.
func keyHash(tb testing.TB, file string) string {
	tb.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	block, _ := pem.Decode(b)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		tb.Fatal(err)
	}
	hash := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(hash[:])
}

// chromium finds the browser: the one that is named, or one in the path.
var chromium = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("INTEROP_CHROMIUM"); path != "" {
		found, err := exec.LookPath(path)
		if err != nil {
			return "", fmt.Errorf("INTEROP_CHROMIUM: %w", err)
		}
		return found, nil
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("no Chromium in the path: apt-get install chromium, or name one in INTEROP_CHROMIUM")
})

// BrowserVersion says which browser it is, and what the peer in its page is made of.
func BrowserVersion(tb testing.TB) string {
	tb.Helper()
	path, err := chromium()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := exec.Command(path, "--version").Output()
	if err != nil {
		tb.Fatal(err)
	}
	name, _, _ := strings.Cut(strings.TrimSpace(string(out)), " built on ") // which names the system
	return fmt.Sprintf("%s with js-libp2p %s", name, installed(tb, "browser", "libp2p"))
}

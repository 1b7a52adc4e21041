package websocket

import (
	"bufio"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/clean"
	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/internal/fault"

	ma "github.com/multiformats/go-multiaddr"
)

// answers is a server that reads a request and gives one answer.
func answers(t *testing.T, rt *actors.Runtime, answer func(key string) string) ma.Multiaddr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	rt.Pump("server", func() {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = nc.Close() }()
		r, err := http.ReadRequest(bufio.NewReader(nc))
		if err != nil {
			return
		}
		_, _ = io.WriteString(nc, answer(r.Header.Get("Sec-WebSocket-Key")))
		_, _ = io.Copy(io.Discard, nc) // until the dialler goes
	}, nil)
	return ma.StringCast(fmt.Sprintf("/ip4/127.0.0.1/tcp/%d/ws", l.Addr().(*net.TCPAddr).Port))
}

func accepted(key, more string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
		base64.StdEncoding.EncodeToString(sum[:]) + "\r\n" + more + "\r\n"
}

func TestServersThatAreNoneFailTheDial(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer func(key string) string
		want   error
	}{
		{"another service", func(string) string { return "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n" }, ErrRefused},
		{"another key", func(string) string { return accepted("other", "") }, ErrRefused},
		{"no HTTP", func(string) string { return "SSH-2.0-server\r\n\r\n" }, nil},
		{"a header without end", func(string) string {
			return "HTTP/1.1 101 Switching Protocols\r\nA: " + strings.Repeat("a", 2*maxHeader)
		}, errHeader},
		{"an extension", func(key string) string {
			return accepted(key, "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n")
		}, errExtension},
		{"a subprotocol", func(key string) string { return accepted(key, "Sec-WebSocket-Protocol: chat\r\n") }, errProtocol},
		{"words for a terminal", func(string) string { return "HTTP/\x1b[31m " + strings.Repeat("x", 4<<10) + "\r\n\r\n" }, nil},
		{"silence", func(string) string { return "" }, os.ErrDeadlineExceeded},
	} {
		t.Run(c.name, func(t *testing.T) {
			rt := transporttest.Runtime(t)
			cfg := Config{}
			if c.want == os.ErrDeadlineExceeded {
				cfg.DialTimeout = 20 * time.Millisecond
			}
			_, err := transporttest.Dial(t.Context(), New(rt, cfg), answers(t, rt, c.answer))
			if err == nil || origins(err) != fault.Remote || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("err = %v, want %v", err, c.want)
			}
			if err != nil && (!clean.Is(err.Error()) || len(err.Error()) > 2*clean.MaxError) {
				t.Errorf("an error of %d bytes: %q", len(err.Error()), err)
			}
		})
	}
}

func TestCertificatesAreChecked(t *testing.T) {
	cfg := secured(t)
	_, others := selfSigned(t)
	l, acc := serves(t, cfg, anyPortS)
	port := l.seat.Addr().(*net.TCPAddr).Port
	accepted := 0
	for _, c := range []struct {
		name, addr string
		pool       *x509.CertPool
		ok         func(error) bool
	}{
		{"by its IP address", "/ip4/127.0.0.1/tcp/%d/tls/ws", nil, nil},
		{"by its IP address, the short form", "/ip4/127.0.0.1/tcp/%d/wss", nil, nil},
		{"by name", "/dns4/localhost/tcp/%d/wss", nil, nil},
		{"by the name given", "/ip4/127.0.0.1/tcp/%d/tls/sni/localhost/ws", nil, nil},
		{"another name", "/ip4/127.0.0.1/tcp/%d/tls/sni/a.example/ws", nil, func(err error) bool {
			var e x509.HostnameError
			return errors.As(err, &e)
		}},
		{"another authority", "/ip4/127.0.0.1/tcp/%d/tls/ws", others, func(err error) bool {
			var e x509.UnknownAuthorityError
			return errors.As(err, &e)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			own := cfg
			if c.pool != nil {
				own.ClientTLS = &tls.Config{RootCAs: c.pool}
			}
			a := ma.StringCast(fmt.Sprintf(c.addr, port))
			got, err := transporttest.Dial(t.Context(), New(l.t.rt, own), a)
			if c.ok != nil {
				if err == nil || !c.ok(err) || origins(err) != fault.Remote {
					t.Errorf("err = %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer got.Abandon()
			in := acc.Next(t, accepted)
			accepted++
			defer in.Abandon()
			out, back := got.Endpoints(), in.Endpoints()
			suffix := c.addr[strings.Index(c.addr, "%d")+2:]
			if want := fmt.Sprintf("/ip4/127.0.0.1/tcp/%d%s", port, suffix); out.Remote.String() != want {
				t.Errorf("reached %s, want %s", out.Remote, want)
			}
			if !out.Local.Equal(back.Remote) || !back.Local.Equal(l.Addr()) || back.Direction != conduit.Inbound {
				t.Errorf("%+v and %+v", out, back)
			}
		})
	}
}

func TestListeningOnTLSTakesACertificate(t *testing.T) {
	dir := t.TempDir()
	good, none := writePair(t, dir, "good", time.Now()), filepath.Join(dir, "none.pem")
	for _, c := range []struct {
		name string
		cfg  Config
		want error // nil: it works
	}{
		{"nothing", Config{}, ErrNoCertificate},
		{"a configuration without a certificate", Config{TLS: &tls.Config{MinVersion: tls.VersionTLS13}}, ErrNoCertificate},
		{"a file that is not there", Config{CertFile: none}, os.ErrNotExist},
		{"a key that is not there", Config{CertFile: good, KeyFile: none}, os.ErrNotExist},
		{"one file", Config{CertFile: good}, nil},
		{"two files", Config{CertFile: good, KeyFile: good}, nil},
		{"a way to get one", Config{TLS: &tls.Config{GetCertificate: (&certs{}).get}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := New(transporttest.Runtime(t), c.cfg).Listen(anyPortS, &transporttest.Acceptor{})
			if err == nil {
				_ = l.Close()
			}
			if !errors.Is(err, c.want) || c.want != nil && origins(err) != fault.Local {
				t.Errorf("err = %v, want %v", err, c.want)
			}
		})
	}
}

// writePair writes a certificate and its key into one file, as if at the given time.
func writePair(t *testing.T, dir, name string, at time.Time) string {
	t.Helper()
	cert, _ := selfSigned(t)
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, name)
	both := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	if err := errors.Join(os.WriteFile(path, both, 0o600), os.Chtimes(path, at, at)); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPathsAreAskedFor(t *testing.T) {
	l, acc := serves(t, Config{}, ma.StringCast("/ip4/127.0.0.1/tcp/0/ws/http-path/a%20b%2Fc"))
	c, err := transporttest.Dial(t.Context(), l.t, l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abandon()
	acc.Next(t, 0).Abandon()
	if !c.Endpoints().Remote.Equal(l.Addr()) {
		t.Errorf("reached %s", c.Endpoints().Remote)
	}
	other := append(l.Addr()[:3:3], ma.StringCast("/http-path/d")...)
	if _, err := transporttest.Dial(t.Context(), l.t, other); !errors.Is(err, ErrRefused) {
		t.Errorf("err = %v", err)
	}
}

func TestCertificatesAreReadAgainWhenTheyChange(t *testing.T) {
	dir, at, told := t.TempDir(), time.Now().Add(-time.Hour), 0
	path := writePair(t, dir, "pair.pem", at)
	c := &certs{certFile: path, keyFile: path, notRenewed: func(error) { told++ }}
	if err := c.look(); err != nil {
		t.Fatal(err)
	}
	shown := func(later bool) string {
		t.Helper()
		if later {
			c.looked = time.Time{}
		}
		cert, err := c.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		return string(cert.Certificate[0])
	}
	first := shown(true)
	writePair(t, dir, "pair.pem", at.Add(time.Minute))
	if shown(false) != first {
		t.Error("looked at again within a second")
	}
	second := shown(true)
	if second == first {
		t.Error("the old one goes on")
	}
	if err := os.WriteFile(path, []byte("half of a"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if shown(true) != second || told != 1 {
			t.Errorf("in the middle of a change: told %d times", told)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if shown(true) != second || told != 1 {
		t.Errorf("without files: told %d times", told)
	}
	writePair(t, dir, "pair.pem", at.Add(2*time.Minute))
	if third := shown(true); third == second || told != 1 {
		t.Errorf("told %d times", told)
	}
	_ = os.Remove(path)
	if shown(true); told != 2 {
		t.Errorf("of a second time, told %d times", told)
	}
}

// A listener goes on with the certificate that it has, and says so.
func TestAListenerSaysThatItsCertificateIsNotRenewed(t *testing.T) {
	path := writePair(t, t.TempDir(), "pair.pem", time.Now().Add(-time.Hour))
	l, acc := serves(t, Config{CertFile: path, ClientTLS: &tls.Config{InsecureSkipVerify: true}}, anyPortS)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	c, err := transporttest.Dial(t.Context(), l.t, l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	c.Abandon()
	acc.Next(t, 0).Abandon()
	if err := acc.WaitDegraded(t, 1); !errors.Is(err, os.ErrNotExist) || origins(err) != fault.Local {
		t.Errorf("Degraded(%v)", err)
	}
}

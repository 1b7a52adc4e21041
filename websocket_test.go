package troupe_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/protocols/echo"
	"github.com/troupe-p2p/troupe/transports/websocket"
)

// localhost is a certificate for that name and for 127.0.0.1, and whoever trusts it.
func localhost(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	if leaf, err := x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	} else {
		trusted.AddCert(leaf)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, trusted
}

// A certificate is for a name, and the name is gone from an address once it is resolved: it has to
// reach the transport all the same.
func TestASecureWebSocketIsDialledByName(t *testing.T) {
	cert, trusted := localhost(t)
	over := func(ws websocket.Config, listen ...string) func(*troupe.Config) {
		return func(cfg *troupe.Config) {
			cfg.Listen = listen
			cfg.Transports = []troupe.Transport{ws.Transport}
		}
	}
	server := newNode(t, over(websocket.Config{
		TLS: &tls.Config{Certificates: []tls.Certificate{cert}},
	}, "/ip4/127.0.0.1/tcp/0/tls/ws"))
	if err := server.Handle(echo.Protocol, echo.Handler()); err != nil {
		t.Fatal(err)
	}
	client := newNode(t, over(websocket.Config{ClientTLS: &tls.Config{RootCAs: trusted}}))
	by := strings.Replace(server.ListenAddrs()[0].String(), "/ip4/127.0.0.1/", "/dns4/localhost/", 1)
	c, err := client.DialAddr(bounded(t), strings.Replace(by, "/tls/ws", "/wss", 1)+"/p2p/"+server.ID().String())
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Remote.String(); !strings.HasSuffix(got, "/tls/sni/localhost/ws") {
		t.Errorf("connected with %s", got)
	}
	if err := echoes(bounded(t), client, server, "over TLS by name"); err != nil {
		t.Fatal(err)
	}
}

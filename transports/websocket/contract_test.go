package websocket

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

var (
	anyPort  = ma.StringCast("/ip4/127.0.0.1/tcp/0/ws")
	anyPortS = ma.StringCast("/ip4/127.0.0.1/tcp/0/tls/ws")
)

// selfSigned is a certificate for localhost by all of its names, and whoever trusts it.
func selfSigned(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	from := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, from, from, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// secured is a Config for both ends of /wss.
func secured(t testing.TB) Config {
	t.Helper()
	cert, pool := selfSigned(t)
	return Config{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}, ClientTLS: &tls.Config{RootCAs: pool}}
}

func TestTransportKeepsTheContract(t *testing.T) {
	others := []ma.Multiaddr{nil}
	for _, s := range foreign {
		others = append(others, ma.StringCast(s))
	}
	for _, c := range []struct {
		name   string
		cfg    Config
		listen ma.Multiaddr
		small  bool // sockets: an indirect write cannot ask them how full they are
	}{
		{"ws", Config{}, anyPort, false},
		{"ws, by the pump", Config{indirect: true}, anyPort, true},
		{"wss", secured(t), anyPortS, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := transporttest.Subject{
				New: func(_ testing.TB, rt *actors.Runtime, _ identity.PrivateKey) conduit.Transport {
					return New(rt, c.cfg)
				},
				Listen:  c.listen,
				Foreign: others,
				Refused: func(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) },
				Break:   func(_ testing.TB, c conduit.Conduit) { _ = conduit.Reset(c.Raw) },
				Held:    16 << 20, // what Linux lets the buffers of a socket grow to
			}
			if c.small {
				s.Held = 1 << 20
				s.Tune = func(t testing.TB, c conduit.Conduit) {
					nc := c.Raw.(*conn).queue.raw.(*net.TCPConn)
					if err := errors.Join(nc.SetReadBuffer(32<<10), nc.SetWriteBuffer(32<<10)); err != nil {
						t.Fatal(err)
					}
				}
			}
			transporttest.Run(t, s)
		})
	}
}

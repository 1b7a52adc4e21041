package troupe_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"io"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	quicgo "github.com/quic-go/quic-go"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/testkit/script"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// credentials are what a remote shows in TLS.
type credentials struct {
	template x509.Certificate
	oid      asn1.ObjectIdentifier
	signed   []byte // what the identity signs: nil for the certificate's key
	tls      tls.Config
	twice    bool // a chain of two
}

// credential makes an honest certificate of a new peer, but for what spoil does to it.
func credential(t *testing.T, spoil func(*credentials)) *tls.Config {
	t.Helper()
	c := &credentials{
		template: x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{SerialNumber: "1"},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		},
		oid: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 53594, 1, 1},
		tls: tls.Config{
			MinVersion: tls.VersionTLS12, NextProtos: []string{"libp2p"},
			InsecureSkipVerify: true, //nolint:gosec // the node is known: it is the attacker that is not
		},
	}
	spoil(c)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id, err := identity.GenerateKey(identity.Ed25519, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if c.signed == nil {
		spki, err := x509.MarshalPKIXPublicKey(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		c.signed = append([]byte("libp2p-tls-handshake:"), spki...)
	}
	signature, err := id.Sign(c.signed)
	if err != nil {
		t.Fatal(err)
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1OctetString(identity.MarshalPublicKey(id.Public()))
		b.AddASN1OctetString(signature)
	})
	if c.oid != nil {
		c.template.ExtraExtensions = []pkix.Extension{{Id: c.oid, Value: b.BytesOrPanic()}}
	}
	der, err := x509.CreateCertificate(rand.Reader, &c.template, &c.template, key.Public(), crypto.Signer(key))
	if err != nil {
		t.Fatal(err)
	}
	chain := [][]byte{der}
	if c.twice {
		chain = append(chain, der)
	}
	c.tls.Certificates = []tls.Certificate{{Certificate: chain, PrivateKey: key}}
	return &c.tls
}

// call reaches the victim without an adapter.
func (v *victim) call(t *testing.T) net.Conn {
	t.Helper()
	a := v.ListenAddrs()[0]
	if _, err := a.ValueForProtocol(ma.P_WS); err == nil {
		_, address := hostAndPort(t, a)
		ws, r, err := websocket.DefaultDialer.DialContext(bounded(t), "ws://"+address+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
		return &webSocket{Conn: ws.NetConn(), ws: ws}
	}
	nc, err := manet.Dial(a)
	if err != nil {
		t.Fatal(err)
	}
	return nc
}

// bare is the address of the socket below an adapter's.
func bare(t *testing.T, a ma.Multiaddr) ma.Multiaddr {
	t.Helper()
	for i, c := range a {
		switch c.Code() {
		case ma.P_TCP, ma.P_UDP, ma.P_UNIX:
			return a[:i+1]
		}
	}
	t.Fatalf("%s has no socket", a)
	return nil
}

func hostAndPort(t *testing.T, a ma.Multiaddr) (network, address string) {
	t.Helper()
	network, address, err := manet.DialArgs(bare(t, a))
	if err != nil {
		t.Fatal(err)
	}
	return network, address
}

// webSocket is one as a stream of bytes: a message for each write.
type webSocket struct {
	net.Conn
	ws   *websocket.Conn
	rest []byte // of a message
}

func (w *webSocket) Write(p []byte) (int, error) {
	return len(p), w.ws.WriteMessage(websocket.BinaryMessage, p)
}

func (w *webSocket) Read(p []byte) (int, error) {
	for len(w.rest) == 0 {
		_, r, err := w.ws.NextReader()
		if err == nil {
			w.rest, err = io.ReadAll(r)
		}
		if err != nil {
			return 0, err
		}
	}
	n := copy(p, w.rest)
	w.rest = w.rest[n:]
	return n, nil
}

// secured dials the victim with TLS and reads until the end.
func (v *victim) secured(t *testing.T, cfg *tls.Config) error {
	t.Helper()
	if v.ground.name == "quic" {
		_, address := hostAndPort(t, v.ListenAddrs()[0])
		qc, err := quicgo.DialAddr(bounded(t), address, cfg, nil)
		if err != nil {
			return err
		}
		defer func() { _ = qc.CloseWithError(0, "") }()
		_, err = qc.AcceptStream(bounded(t))
		if err == nil {
			return nil
		}
		<-qc.Context().Done() // streams hear of the end before the connection has told its cause
		return context.Cause(qc.Context())
	}
	nc := v.call(t)
	defer func() { _ = nc.Close() }()
	_ = nc.SetDeadline(time.Now().Add(patience))
	hello := script.Protocol("/tls/1.0.0").Append(script.Header.Append(nil))
	if _, err := nc.Write(hello); err != nil {
		return err
	}
	for left := len(hello); left > 0; { // what the node agrees to is said back
		n, err := nc.Read(make([]byte, left))
		if err != nil {
			return err
		}
		left -= n
	}
	tc := tls.Client(nc, cfg)
	if _, err := tc.Write(script.Header.Append(nil)); err != nil {
		return err
	}
	_, err := tc.Read(make([]byte, 100))
	return err
}

func TestB16CertificatesThatAreNone(t *testing.T) {
	grounds := allGrounds(t)
	grounds = append(grounds[:3:3], grounds[4]) // the memory transport has no net.Conn; see negotiation/tls
	attacked(t, grounds, func(t *testing.T, v *victim) {
		if err := v.secured(t, credential(t, func(c *credentials) { c.tls.ServerName = "ignored.example" })); err != nil {
			t.Fatalf("an honest certificate: %v", err)
		}
		for name, spoil := range map[string]func(*credentials){
			"expired":       func(c *credentials) { c.template.NotAfter = time.Now().Add(-time.Minute) },
			"not yet valid": func(c *credentials) { c.template.NotBefore = time.Now().Add(time.Minute) },
			"two of them":   func(c *credentials) { c.twice = true },
			"no extension":  func(c *credentials) { c.oid = nil },
			"another OID":   func(c *credentials) { c.oid = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 53594, 1, 2} },
			"another key":   func(c *credentials) { c.signed = []byte("libp2p-tls-handshake:of another key") },
			"TLS 1.2":       func(c *credentials) { c.tls.MaxVersion = tls.VersionTLS12 },
			"another ALPN":  func(c *credentials) { c.tls.NextProtos = []string{"h3"} },
		} {
			began := time.Now()
			if err := v.secured(t, credential(t, spoil)); err == nil {
				t.Errorf("%s: the node speaks", name)
			}
			if took := time.Since(began); took >= deadline {
				t.Errorf("%s: it took %s", name, took)
			}
		}
	})
}

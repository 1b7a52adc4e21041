package tls

import (
	"crypto"
	stdtls "crypto/tls"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/identity"
)

// quicPair runs the handshake of two configurations over a socket: what QUIC carries in its own frames
// is the same handshake.
func quicPair(t *testing.T, client, server *stdtls.Config) (clientErr, serverErr error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	for _, c := range []net.Conn{a, b} {
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	}
	done := make(chan error, 1)
	c, s := stdtls.Client(a, client), stdtls.Server(b, server)
	go func() {
		err := s.Handshake()
		if err != nil {
			_ = b.Close()
		}
		done <- err
	}()
	clientErr = c.Handshake()
	if clientErr != nil {
		_ = a.Close()
	}
	serverErr = <-done
	_, _ = a.Close(), b.Close()
	if clientErr == nil && c.ConnectionState().NegotiatedProtocol != alpn {
		t.Errorf("agreed on %q", c.ConnectionState().NegotiatedProtocol)
	}
	return clientErr, serverErr
}

func TestAConfigurationForQUICFindsOutWhoIsThere(t *testing.T) {
	for _, kind := range []identity.KeyType{identity.Ed25519, identity.ECDSA} {
		client, server := newIdentity(t, kind, 1), newIdentity(t, kind, 2)
		var foundByClient, foundByServer Found
		a, b := quicPair(t, client.QUIC(server.Peer(), now, &foundByClient), server.QUIC("", now, &foundByServer))
		if a != nil || b != nil {
			t.Fatalf("%v, %v", a, b)
		}
		for _, c := range []struct {
			Found
			want identity.ID
		}{{foundByClient, server.Peer()}, {foundByServer, client.Peer()}} {
			if c.Peer != c.want || c.PublicKey == nil || !c.Peer.MatchesKey(c.PublicKey) || c.Err != nil {
				t.Errorf("found %+v, want %s", c.Found, c.want)
			}
		}
	}
}

func TestAConfigurationForQUICTakesNobodyElse(t *testing.T) {
	client, server, other := newIdentity(t, identity.Ed25519, 1), newIdentity(t, identity.Ed25519, 2), newIdentity(t, identity.Ed25519, 3)
	var found, ignored Found
	err, _ := quicPair(t, client.QUIC(other.Peer(), now, &found), server.QUIC("", now, &ignored))
	var mismatch *identity.MismatchError
	if err == nil || !errors.As(found.Err, &mismatch) || mismatch.Expected != other.Peer() || mismatch.Actual != server.Peer() {
		t.Errorf("%v, found %+v", err, found)
	}
	if found.Peer != "" || found.PublicKey != nil {
		t.Errorf("found %+v", found)
	}

	// A server that has no libp2p certificate.
	plain := server.QUIC("", now, &ignored)
	der, err := selfSign(now, plain.Certificates[0].PrivateKey.(crypto.Signer))
	if err != nil {
		t.Fatal(err)
	}
	plain.Certificates[0].Certificate = [][]byte{der}
	if err, _ := quicPair(t, client.QUIC("", now, &found), plain); err == nil || !errors.Is(found.Err, ErrIdentity) {
		t.Errorf("%v, found %+v", err, found)
	}
}

func TestAConfigurationForQUICWantsItsProtocol(t *testing.T) {
	client, server := newIdentity(t, identity.Ed25519, 1), newIdentity(t, identity.Ed25519, 2)
	var found, ignored Found
	cfg := client.QUIC("", now, &found)
	cfg.NextProtos = []string{"h3"}
	if _, err := quicPair(t, cfg, server.QUIC("", now, &ignored)); err == nil {
		t.Error("the server speaks h3")
	}
}

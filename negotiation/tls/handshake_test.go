package tls

import (
	"context"
	stdtls "crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/identity"
)

func TestHandshakeProvesBothPeersForEveryKeyType(t *testing.T) {
	kinds := []identity.KeyType{identity.Ed25519, identity.Secp256k1, identity.ECDSA, identity.RSA}
	var ids []*Identity
	for i, kind := range kinds {
		ids = append(ids, newIdentity(t, kind, byte(i)))
	}
	for i, ic := range ids {
		for j, is := range ids {
			c := ours(t, Config{Identity: ic, Now: now, Expect: is.Peer()})
			s := ours(t, Config{Identity: is, Now: now, Server: true})
			connect(t, c, s)
			if r := c.result; r.Peer != is.Peer() || !r.Peer.MatchesKey(r.PublicKey) || r.PublicKey.Type() != kinds[j] {
				t.Errorf("%v to %v: client sees %v", kinds[i], kinds[j], r.Peer)
			}
			if r := s.result; r.Peer != ic.Peer() || !r.Peer.MatchesKey(r.PublicKey) || r.PublicKey.Type() != kinds[i] {
				t.Errorf("%v to %v: server sees %v", kinds[i], kinds[j], r.Peer)
			}
			if err := errors.Join(exchange(c.result.Seal, s.result.Open, "to the server"), exchange(s.result.Seal, c.result.Open, "to the client")); err != nil {
				t.Errorf("%v to %v: %v", kinds[i], kinds[j], err)
			}
		}
	}
}

func TestHandshakeWorksForManySplits(t *testing.T) {
	cc, cs := config(t, false, 1), config(t, true, 2)
	for _, size := range []int{1, 2, 3, 5, 6, 7, 11, 64, 500, 1000} {
		l := &link{client: ours(t, cc), server: ours(t, cs), size: size}
		l.handshake()
		if l.client.err != nil || l.server.err != nil {
			t.Fatalf("pieces of %d bytes: client %v, server %v", size, l.client.err, l.server.err)
		}
		if err := exchange(l.client.result.Seal, l.server.result.Open, "x"); err != nil {
			t.Fatalf("pieces of %d bytes: %v", size, err)
		}
	}
}

func TestMuxerIsTheFirstOfTheClientThatTheServerHas(t *testing.T) {
	for _, c := range []struct {
		client, server []string
		want           string
	}{
		{[]string{yamux}, []string{yamux}, yamux},
		{[]string{yamux, mplex}, []string{mplex, yamux}, yamux},
		{[]string{"/other", mplex, yamux}, []string{yamux, mplex}, mplex},
		{nil, []string{yamux}, ""}, // rust-libp2p offers "libp2p" alone
		{[]string{yamux}, nil, ""},
		{[]string{yamux}, []string{mplex}, ""}, // "libp2p" is in common: negotiated inside
	} {
		cc, cs := config(t, false, 1), config(t, true, 2)
		cc.Muxers, cs.Muxers = c.client, c.server
		client, server := ours(t, cc), ours(t, cs)
		connect(t, client, server)
		for _, r := range []*Result{client.result, server.result} {
			if r.Muxer != c.want || r.Early != (c.want != "") {
				t.Errorf("%v with %v: %q, early %v", c.client, c.server, r.Muxer, r.Early)
			}
		}
	}
}

func TestAnotherPeerThanExpectedIsRefused(t *testing.T) {
	third := newIdentity(t, identity.Ed25519, 3).Peer()
	for _, server := range []bool{false, true} {
		cc, cs := config(t, false, 1), config(t, true, 2)
		actual := cs.Identity.Peer()
		if server {
			cs.Expect, actual = third, cc.Identity.Peer()
		} else {
			cc.Expect = third
		}
		l := &link{client: ours(t, cc), server: ours(t, cs)}
		l.handshake()
		err := l.client.err
		if server {
			err = l.server.err
		}
		var m *identity.MismatchError
		if !errors.As(err, &m) || !errors.Is(err, identity.ErrMismatch) || m.Expected != third || m.Actual != actual {
			t.Errorf("expected by the server %v: %v", server, err)
		}
	}
}

// libp2pConfig is crypto/tls set up as another libp2p would, before a test changes something.
func libp2pConfig(t testing.TB, seed byte) *stdtls.Config {
	return &stdtls.Config{
		MinVersion: stdtls.VersionTLS13, InsecureSkipVerify: true, ClientAuth: stdtls.RequireAnyClientCert,
		Certificates: []stdtls.Certificate{newIdentity(t, identity.Ed25519, seed).certificate},
		NextProtos:   []string{alpn},
	}
}

func TestRemotesThatBreakTheRulesAreRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		server bool // the remote is the server
		spoil  func(*stdtls.Config)
		want   error
	}{
		{"client with TLS 1.2", false, func(c *stdtls.Config) { c.MinVersion, c.MaxVersion = stdtls.VersionTLS12, stdtls.VersionTLS12 }, ErrHandshake},
		{"server with TLS 1.2", true, func(c *stdtls.Config) { c.MinVersion, c.MaxVersion = stdtls.VersionTLS12, stdtls.VersionTLS12 }, ErrHandshake},
		{"client without certificate", false, func(c *stdtls.Config) { c.Certificates = nil }, ErrHandshake},
		{"server that asks for no certificate", true, func(c *stdtls.Config) { c.ClientAuth = stdtls.NoClientCert }, nil},
		{"client with a foreign ALPN", false, func(c *stdtls.Config) { c.NextProtos = []string{"h2"} }, ErrHandshake},
		{"server with a foreign ALPN", true, func(c *stdtls.Config) { c.NextProtos = []string{"h2"} }, ErrHandshake},
		{"client with two certificates", false, twice, ErrIdentity},
		{"server with two certificates", true, twice, ErrIdentity},
	} {
		t.Run(c.name, func(t *testing.T) {
			foreign := libp2pConfig(t, 2)
			c.spoil(foreign)
			us, them := ours(t, config(t, !c.server, 1)), other(c.server, foreign)
			l := &link{client: us, server: them}
			if !c.server {
				l = &link{client: them, server: us}
			}
			l.handshake()
			// A server that does not ask is no libp2p server; as a client we cannot tell, and
			// it cannot pretend to know us.
			if !errors.Is(us.err, c.want) {
				t.Errorf("error %v, want kind %v", us.err, c.want)
			}
		})
	}
}

func twice(c *stdtls.Config) {
	cert := c.Certificates[0]
	cert.Certificate = append(cert.Certificate, cert.Certificate[0])
	c.Certificates = []stdtls.Certificate{cert}
}

func TestServerToleratesWhatTheSpecLeavesOpen(t *testing.T) {
	for name, change := range map[string]func(*stdtls.Config){
		// tls.md, "Future Extensibility": servers MUST ignore the SNI.
		"SNI":     func(c *stdtls.Config) { c.ServerName = "example.com" },
		"no ALPN": func(c *stdtls.Config) { c.NextProtos = nil },
	} {
		foreign := libp2pConfig(t, 2)
		change(foreign)
		us, them := ours(t, config(t, true, 1)), other(false, foreign)
		connect(t, them, us)
		if us.result.Early {
			t.Errorf("%s: muxer %q", name, us.result.Muxer)
		}
	}
}

func TestClientSendsNoServerName(t *testing.T) {
	var seen []string
	foreign := libp2pConfig(t, 2)
	foreign.GetConfigForClient = func(hello *stdtls.ClientHelloInfo) (*stdtls.Config, error) {
		seen = append(seen, "name="+hello.ServerName)
		seen = append(seen, hello.SupportedProtos...)
		return nil, nil
	}
	cfg := config(t, false, 1)
	cfg.Muxers = []string{yamux, mplex}
	connect(t, ours(t, cfg), other(true, foreign))
	want := []string{"name=", yamux, mplex, alpn}
	if len(seen) != len(want) {
		t.Fatalf("hello has %q", seen)
	}
	for i := range want {
		if seen[i] != want[i] {
			t.Fatalf("hello has %q, want %q", seen, want)
		}
	}
}

// The remote's clock and ours are compared at the time given, not at the machine's.
func TestClockIsTheOneGiven(t *testing.T) {
	for _, later := range []bool{false, true} {
		cc, cs := config(t, false, 1), config(t, true, 2)
		cc.Now = now.Add(-2 * certificateAge)
		if later {
			cc.Now = now.Add(2 * certificateLife)
		}
		l := &link{client: ours(t, cc), server: ours(t, cs)}
		l.handshake()
		if !errors.Is(l.client.err, ErrIdentity) {
			t.Errorf("later %v: %v", later, l.client.err)
		}
	}
}

func TestRunEndsWhenClosedOrItsContextEnds(t *testing.T) {
	for _, server := range []bool{false, true} {
		e := ours(t, config(t, server, 1))
		go func() { e.done <- e.run() }()
		<-e.wake
		e.close(io.ErrUnexpectedEOF)
		if err := <-e.done; !errors.Is(err, io.ErrUnexpectedEOF) || !errors.Is(err, ErrHandshake) {
			t.Errorf("server %v, closed: %v", server, err)
		}

		h, err := NewHandshake(config(t, server, 1))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := h.Run(ctx); !errors.Is(err, context.Canceled) || !errors.Is(err, ErrLocal) {
			t.Errorf("server %v, canceled: %v", server, err)
		}
	}
}

func TestWhatIsFedIsBounded(t *testing.T) {
	h, err := NewHandshake(config(t, true, 1))
	if err != nil {
		t.Fatal(err)
	}
	chunk := make([]byte, 60<<10)
	for range MaxQueued / len(chunk) {
		if err := h.Feed(chunk); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Feed(chunk); !errors.Is(err, ErrLimit) {
		t.Errorf("over %d bytes: %v", MaxQueued, err)
	}
	if _, err := h.Run(context.Background()); err == nil {
		t.Error("the handshake runs on")
	}
}

// A certificate message of 200 KiB, which crypto/tls would take.
func TestHandshakeIsBoundedAsAWhole(t *testing.T) {
	foreign := libp2pConfig(t, 2)
	foreign.Certificates[0].Certificate = append(foreign.Certificates[0].Certificate, make([]byte, 200<<10))
	foreign.InsecureSkipVerify = true
	us, them := ours(t, config(t, true, 1)), other(false, foreign)
	l := &link{client: them, server: us, size: 4 << 10}
	l.handshake()
	if !errors.Is(us.err, ErrLimit) {
		t.Errorf("error %v", us.err)
	}
}

func TestHungrySaysWhenToReadOn(t *testing.T) {
	e := ours(t, config(t, true, 1))
	h := make(chan struct{})
	go func() { e.done <- e.run(); close(h) }()
	<-e.wake
	if e.queues.hungry() != true {
		t.Error("a server that has read nothing does not want more")
	}
	if err := e.feed([]byte{22}); err != nil {
		t.Fatal(err)
	}
	<-e.wake
	if !e.queues.hungry() {
		t.Error("a server in the middle of a record does not want more")
	}
	e.close(io.EOF)
	<-h
	<-e.done
}

func TestFirstBytesOfOtherProtocolsFailAtOnce(t *testing.T) {
	for _, first := range []string{"GET / HTTP/1.1\r\n", "\x15\x03\x01\x00\x02\x02\x28", "\x00\x00\x00\x00\x00\x00", "\x80\x2e\x01\x00\x02\x00"} {
		e := ours(t, config(t, true, 1))
		if err := e.feed([]byte(first)); err != nil {
			t.Fatal(err)
		}
		if err := e.run(); !errors.Is(err, ErrHandshake) {
			t.Errorf("%q: %v", first, err)
		}
	}
}

func TestLocalFaultsAreNamedAsSuch(t *testing.T) {
	ok := config(t, false, 1)
	for name, spoil := range map[string]func(*Config){
		"no identity": func(c *Config) { c.Identity = nil },
		"no time":     func(c *Config) { c.Now = time.Time{} },
		"no name":     func(c *Config) { c.Muxers = []string{""} },
		"long name":   func(c *Config) { c.Muxers = []string{string(make([]byte, 256))} },
		"libp2p":      func(c *Config) { c.Muxers = []string{alpn} },
		"101 muxers":  func(c *Config) { c.Muxers = make([]string, maxMuxers+1) },
	} {
		c := ok
		spoil(&c)
		if _, err := NewHandshake(c); !errors.Is(err, ErrLocal) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := NewIdentity(nil, now); !errors.Is(err, ErrLocal) {
		t.Errorf("identity without a key: %v", err)
	}
}

// One bit of every other byte of the whole handshake is flipped. The bytes that nothing covers are
// left out: the version in the header of a plaintext record, which RFC 8446, 5.1, has ignored, and
// the change_cipher_spec records of its appendix D.4, which are dropped unread.
func TestFlippedBitsFailTheHandshake(t *testing.T) {
	cc, cs := config(t, false, 1), config(t, true, 2)
	probe := &link{client: ours(t, cc), server: ours(t, cs)}
	probe.handshake()
	tried := 0
	for _, fromClient := range []bool{true, false} {
		sent := probe.client.sent
		if !fromClient {
			sent = probe.server.sent
		}
		for at := 0; at < len(sent)-40; at += 2 { // lengths differ by some bytes from run to run
			l := &link{client: ours(t, cc), server: ours(t, cs)}
			seen, flipped := 0, false
			l.alter = func(client bool, p []byte) []byte {
				if client != fromClient {
					return p
				}
				if i := at - seen; 0 <= i && i < len(p) && covered(p, i) {
					p[i] ^= 1 << (at / 2 % 8)
					flipped = true
				}
				seen += len(p)
				return p
			}
			l.handshake()
			if flipped {
				tried++
				if l.client.err == nil && l.server.err == nil {
					t.Fatalf("byte %d, sent by the client %v, flipped: both ends are content", at, fromClient)
				}
			}
		}
	}
	t.Logf("%d bits flipped", tried)
	if tried < 1500 {
		t.Errorf("only %d bits were flipped", tried)
	}
}

// covered says whether byte i of the records in p is one that the handshake protects.
func covered(p []byte, i int) bool {
	for start := 0; start+5 <= len(p); {
		end := start + 5 + int(p[start+3])<<8 + int(p[start+4])
		if i < end {
			plaintext := p[start] == 22
			return p[start] != 20 && !(plaintext && (i == start+1 || i == start+2))
		}
		start = end
	}
	return true
}

func FuzzHandshake(f *testing.F) {
	id := newIdentity(f, identity.Ed25519, 1)
	client := ours(f, Config{Identity: id, Now: now})
	go func() { client.done <- client.run() }()
	<-client.wake
	hello := client.take(nil)
	client.close(io.EOF)
	<-client.done
	f.Add(hello, true)
	f.Add([]byte("\x16\x03\x03\x00\x04\x02\x00\x00\x00"), false)
	f.Fuzz(func(t *testing.T, wire []byte, server bool) {
		var h *Handshake
		// When everything is read, the remote is gone.
		cfg := Config{Server: server, Identity: id, Now: now, Wake: func() {
			if h.Hungry() {
				h.Close(io.ErrUnexpectedEOF)
			}
		}}
		var err error
		if h, err = NewHandshake(cfg); err != nil {
			t.Fatal(err)
		}
		if h.Feed(wire) != nil {
			return
		}
		if _, err := h.Run(context.Background()); err == nil {
			t.Fatal("done without a remote that holds any key")
		}
	})
}

func FuzzCertificate(f *testing.F) {
	id := newIdentity(f, identity.Ed25519, 1)
	f.Add(id.certificate.Certificate[0])
	f.Fuzz(func(t *testing.T, der []byte) {
		peer, key, err := verify([][]byte{der}, now)
		if err != nil {
			return
		}
		if cert, err := x509.ParseCertificate(der); err != nil || !peer.MatchesKey(key) || cert.NotAfter.Before(now) {
			t.Fatalf("accepted for %v", peer)
		}
	})
}

package webtransport

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	stdtls "crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"math/big"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func chainAt(t *testing.T, n byte, now time.Time) chain {
	t.Helper()
	c, err := newCerts(transporttest.Key(n), now)
	if err != nil {
		t.Fatal(err)
	}
	at, err := c.at(now)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// What others remember of a node's addresses is good after a restart, also if that brings another version
// of this program: if the hash below changes, so do all addresses.
func TestCertificatesAreTheSameAfterARestart(t *testing.T) {
	before, after := chainAt(t, 1, noon), chainAt(t, 1, noon)
	for i, pair := range [][2]*cert{{before.last, after.last}, {before.is, after.is}, {before.next, after.next}} {
		if !bytes.Equal(pair[0].tls.Certificate[0], pair[1].tls.Certificate[0]) {
			t.Errorf("certificate %d is another after a restart", i)
		}
	}
	const want = "1220f6259b01ab95fc6118933831174776bad43933fe83c2a23b8bb5ab93064e6575"
	if got := hex.EncodeToString(before.is.hash); got != want {
		t.Errorf("the hash is %s, and was %s", got, want)
	}
	if other := chainAt(t, 2, noon); bytes.Equal(other.is.hash, before.is.hash) {
		t.Error("two nodes have one certificate")
	}
}

func TestCertificatesRollOver(t *testing.T) {
	c, err := newCerts(transporttest.Key(1), noon)
	if err != nil {
		t.Fatal(err)
	}
	at := func(now time.Time) chain {
		got, err := c.at(now)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	now := at(noon)
	for range 100 { // some years
		if again := at(now.until.Add(-time.Second)); again.number != now.number {
			t.Fatalf("certificate %d is in use before the end of %d", again.number, now.number)
		}
		next := at(now.until)
		if next.is != now.next && !bytes.Equal(next.is.hash, now.next.hash) || !bytes.Equal(next.last.hash, now.is.hash) {
			t.Fatal("the next certificate is not the one that was announced")
		}
		if next.number != now.number+1 || next.until.Sub(now.until) != period {
			t.Fatalf("certificate %d until %v is followed by %d until %v", now.number, now.until, next.number, next.until)
		}
		leaf := now.is.tls.Leaf
		if long := leaf.NotAfter.Sub(leaf.NotBefore); long >= maxValidity || long < period {
			t.Fatalf("it is valid for %v", long)
		}
		// The clocks of others differ: before its time and after it, it is valid for them.
		for _, seen := range []time.Time{now.until.Add(-period).Add(-slack), now.until.Add(slack)} {
			if err := checkCertificate(shows(leaf), [][]byte{now.is.hash}, seen); err != nil {
				t.Fatal(err)
			}
		}
		if next.is.tls.Leaf.NotBefore.After(now.until.Add(-slack)) {
			t.Fatal("there is a time at which two are not valid")
		}
		now = next
	}
}

func TestNotAllNodesRollOverAtOneTime(t *testing.T) {
	seen := map[time.Time]bool{}
	for n := range 16 {
		seen[chainAt(t, byte(n+1), noon).until] = true
	}
	if len(seen) < 16 {
		t.Errorf("16 nodes roll over at %d times", len(seen))
	}
}

func TestAClockThatWasNeverSetHasCertificatesToo(t *testing.T) {
	for _, now := range []time.Time{time.Unix(0, 0), time.Unix(-1e9, 0), {}} {
		if at := chainAt(t, 1, now); at.until.Before(now) || at.until.Sub(now) > period {
			t.Errorf("at %v one is in use until %v", now, at.until)
		}
	}
}

func shows(all ...*x509.Certificate) stdtls.ConnectionState {
	return stdtls.ConnectionState{PeerCertificates: all}
}

// forged is a certificate of a key, valid for so long.
func forged(t *testing.T, key crypto.Signer, from, until time.Time) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

func TestACertificateIsHeldToTheRulesOfBrowsers(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	const day = 24 * time.Hour
	for what, c := range map[string]struct {
		leaf *x509.Certificate
		ok   bool
	}{
		"valid":           {forged(t, ec, noon.Add(-day), noon.Add(day)), true},
		"valid for long":  {forged(t, ec, noon.Add(-day), noon.Add(13*day)), true},
		"valid too long":  {forged(t, ec, noon.Add(-day), noon.Add(13*day+time.Second)), false},
		"expired":         {forged(t, ec, noon.Add(-2*day), noon.Add(-time.Second)), false},
		"not valid yet":   {forged(t, ec, noon.Add(time.Second), noon.Add(day)), false},
		"with key of RSA": {forged(t, rs, noon.Add(-day), noon.Add(day)), false},
	} {
		h := hashOf(c.leaf.Raw)
		if err := checkCertificate(shows(c.leaf), [][]byte{{1}, h}, noon); (err == nil) != c.ok || err != nil && !errors.Is(err, ErrCertificate) {
			t.Errorf("%s: %v", what, err)
		}
		if err := checkCertificate(shows(c.leaf), [][]byte{h[1:], {}}, noon); !errors.Is(err, ErrCertificate) {
			t.Errorf("%s, with another hash: %v", what, err)
		}
	}
	good, other := forged(t, ec, noon.Add(-day), noon.Add(day)), forged(t, ec, noon.Add(-day), noon.Add(2*day))
	if err := checkCertificate(shows(other, good), [][]byte{hashOf(good.Raw)}, noon); !errors.Is(err, ErrCertificate) {
		t.Errorf("the right one comes second: %v", err)
	}
	if err := checkCertificate(shows(), nil, noon); !errors.Is(err, ErrCertificate) {
		t.Errorf("there is none: %v", err)
	}
}

func TestAllHashesHaveToBeConfirmed(t *testing.T) {
	a, b, c := []byte("a"), []byte("b"), []byte("c")
	for _, x := range []struct {
		dialled, told [][]byte
		ok            bool
	}{
		{[][]byte{a}, [][]byte{a}, true},
		{[][]byte{b, a}, [][]byte{a, b, c}, true},
		{[][]byte{a}, nil, false},
		{[][]byte{a, c}, [][]byte{a, b}, false},
	} {
		if err := checkHashes(x.dialled, x.told); (err == nil) != x.ok || err != nil && !errors.Is(err, ErrHashes) {
			t.Errorf("%q of %q: %v", x.dialled, x.told, err)
		}
	}
}

// moving hears of a listener's new address.
type moving struct {
	transporttest.Acceptor
	to chan ma.Multiaddr
}

func (m *moving) Moved(a ma.Multiaddr) { m.to <- a }

var _ conduit.MovingSink = (*moving)(nil)

// A listener tells when the next certificate is in use. Who knows the address from before gets in by its
// second hash, and is told all that it dialled by.
func TestAListenerMovesOnWithItsCertificate(t *testing.T) {
	rt := transporttest.Runtime(t)
	var now atomic.Pointer[time.Time]
	now.Store(&noon)
	at := func(n byte) *Transport {
		cfg := testConfig(transporttest.Key(n))
		cfg.now = func() time.Time { return *now.Load() }
		return New(rt, cfg)
	}
	sink := &moving{to: make(chan ma.Multiaddr, 1)}
	server := at(1)
	cl, err := server.Listen(anyPort, sink)
	if err != nil {
		t.Fatal(err)
	}
	l := cl.(*listener)
	defer func() { _ = l.Close() }()
	before := l.Addr()
	l.look()
	if len(sink.to) > 0 {
		t.Fatalf("it has moved to %s before it was time", <-sink.to)
	}
	chain, err := server.certs.at(noon)
	if err != nil {
		t.Fatal(err)
	}
	now.Store(&chain.until)
	l.look()
	after := <-sink.to
	if !after.Equal(l.Addr()) || after.Equal(before) {
		t.Fatalf("it moved from %s to %s, and is at %s", before, after, l.Addr())
	}
	_, old, _ := split(before)
	_, fresh, _ := split(after)
	if len(old) != 2 || len(fresh) != 2 || !bytes.Equal(old[1], fresh[0]) {
		t.Errorf("hashes %x, and then %x", old, fresh)
	}
	for i, a := range []ma.Multiaddr{before, after} {
		c, err := transporttest.Dial(t.Context(), at(2), a)
		if err != nil {
			t.Fatalf("%s: %v", a, err)
		}
		defer c.Abandon()
		defer sink.Next(t, i).Abandon()
	}
	l.look()
	if len(sink.to) > 0 {
		t.Error("it is told twice")
	}
	_ = l.Close()
	later := chain.until.Add(period)
	now.Store(&later)
	l.look() // which came too late
	if len(sink.to) > 0 {
		t.Error("it has moved after Close")
	}
}

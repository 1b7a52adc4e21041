package noise

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/troupe-p2p/troupe/identity"
)

// seeded is a random source that a failing test can be replayed with.
func seeded(seed byte) io.Reader { return rand.NewChaCha8([32]byte{seed}) }

func newStatic(t testing.TB, kind identity.KeyType, seed byte) *Static {
	t.Helper()
	random := seeded(seed)
	key, err := identity.GenerateKey(kind, random)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewStatic(key, random)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// pair is two handshakes whose bytes go to each other in pieces.
type pair struct {
	initiator, responder *Handshake
	size                 int
	alter                func(message int, wire []byte) []byte
	messages             [][]byte
	errI, errR           error
	restI, restR         []byte
}

func newPair(t testing.TB, initiator, responder Config) *pair {
	t.Helper()
	initiator.Initiator = true
	p := &pair{size: 1 << 20}
	var err error
	if p.initiator, err = New(initiator); err != nil {
		t.Fatal(err)
	}
	if p.responder, err = New(responder); err != nil {
		t.Fatal(err)
	}
	return p
}

// run moves messages until nobody has any. Both sides see an input of their own, as the
// bytes of a socket are: what is altered or kept by one does not reach the other.
func (p *pair) run() {
	move := func(from, to *Handshake, err *error, rest *[]byte) bool {
		wire := from.AppendOutput(nil)
		if len(wire) == 0 {
			return false
		}
		p.messages = append(p.messages, bytes.Clone(wire))
		if p.alter != nil {
			wire = p.alter(len(p.messages), wire)
		}
		for len(wire) > 0 && *err == nil {
			piece := wire[:min(p.size, len(wire))]
			wire = wire[len(piece):]
			n, e := to.HandleBytes(piece)
			*rest = append(*rest, piece[n:]...)
			*err = e
		}
		return true
	}
	for move(p.initiator, p.responder, &p.errR, &p.restR) || move(p.responder, p.initiator, &p.errI, &p.restI) {
	}
}

func (p *pair) results(t testing.TB) (initiator, responder *Result) {
	t.Helper()
	initiator, okI := p.initiator.Done()
	responder, okR := p.responder.Done()
	if !okI || !okR || p.errI != nil || p.errR != nil {
		t.Fatalf("initiator done %v (%v), responder done %v (%v)", okI, p.errI, okR, p.errR)
	}
	if len(p.restI)+len(p.restR) > 0 {
		t.Fatalf("%d and %d bytes were left over", len(p.restI), len(p.restR))
	}
	return initiator, responder
}

// config is the usual one of a test's side.
func config(t testing.TB, seed byte) Config {
	return Config{Static: newStatic(t, identity.Ed25519, seed), Rand: seeded(seed + 100), Muxers: []string{"/yamux/1.0.0"}}
}

func exchange(seal *Sealer, open *Opener, text string) error {
	wire, err := seal.Seal(nil, []byte(text))
	if err != nil {
		return err
	}
	open.Feed(wire)
	got, ok, err := open.Next()
	if err != nil || !ok || string(got) != text {
		return fmt.Errorf("sent %q, got %q %v %w", text, got, ok, errors.Join(err))
	}
	if _, ok, err := open.Next(); ok || err != nil {
		return fmt.Errorf("a second frame: %v %w", ok, errors.Join(err))
	}
	return nil
}

func TestHandshakeProvesBothPeersForEveryKeyType(t *testing.T) {
	kinds := []identity.KeyType{identity.Ed25519, identity.Secp256k1, identity.ECDSA, identity.RSA}
	var statics []*Static
	for i, kind := range kinds {
		statics = append(statics, newStatic(t, kind, byte(i)))
	}
	for i, si := range statics {
		for j, sr := range statics {
			p := newPair(t,
				Config{Static: si, Rand: seeded(1), Expect: sr.Peer()},
				Config{Static: sr, Rand: seeded(2)})
			p.run()
			ri, rr := p.results(t)
			if ri.Peer != sr.Peer() || !ri.Peer.MatchesKey(ri.PublicKey) || ri.PublicKey.Type() != kinds[j] {
				t.Errorf("%v to %v: initiator sees %v", kinds[i], kinds[j], ri.Peer)
			}
			if rr.Peer != si.Peer() || !rr.Peer.MatchesKey(rr.PublicKey) || rr.PublicKey.Type() != kinds[i] {
				t.Errorf("%v to %v: responder sees %v", kinds[i], kinds[j], rr.Peer)
			}
			if err := errors.Join(exchange(ri.Seal, rr.Open, "to the responder"), exchange(rr.Seal, ri.Open, "to the initiator")); err != nil {
				t.Errorf("%v to %v: %v", kinds[i], kinds[j], err)
			}
		}
	}
}

func TestHandshakeIsTheSameForEverySplitAndSeed(t *testing.T) {
	ci, cr := config(t, 1), config(t, 2)
	var first [][]byte
	for size := 1; size <= 300; size++ {
		ci.Rand, cr.Rand = seeded(11), seeded(12)
		p := newPair(t, ci, cr)
		p.size = size
		p.run()
		ri, rr := p.results(t)
		if first == nil {
			first = p.messages
		}
		if len(p.messages) != 3 || !bytes.Equal(bytes.Join(p.messages, nil), bytes.Join(first, nil)) {
			t.Fatalf("pieces of %d bytes: another transcript", size)
		}
		if err := exchange(ri.Seal, rr.Open, "x"); err != nil {
			t.Fatalf("pieces of %d bytes: %v", size, err)
		}
	}
}

func TestMuxerIsTheFirstOfTheInitiatorThatBothNamed(t *testing.T) {
	const yamux, mplex, quic = "/yamux/1.0.0", "/mplex/6.7.0", "/quic"
	for _, c := range []struct {
		initiator, responder []string
		want                 string
		err                  error
	}{
		{[]string{yamux}, []string{yamux}, yamux, nil},
		{[]string{yamux, mplex}, []string{mplex, yamux}, yamux, nil},
		{[]string{quic, mplex, yamux}, []string{yamux, mplex}, mplex, nil},
		{nil, []string{yamux}, "", nil}, // rust-libp2p names none
		{[]string{yamux}, nil, "", nil},
		{nil, nil, "", nil},
		{[]string{yamux}, []string{mplex}, "", ErrNoCommonMuxer},
	} {
		ci, cr := config(t, 1), config(t, 2)
		ci.Muxers, cr.Muxers = c.initiator, c.responder
		p := newPair(t, ci, cr)
		p.run()
		if c.err != nil {
			if !errors.Is(p.errI, c.err) {
				t.Errorf("%v with %v: initiator says %v", c.initiator, c.responder, p.errI)
			}
			if len(p.messages) != 2 {
				t.Errorf("%v with %v: %d messages were sent", c.initiator, c.responder, len(p.messages))
			}
			continue
		}
		ri, rr := p.results(t)
		for _, r := range []*Result{ri, rr} {
			if r.Muxer != c.want || r.Early != (c.want != "") {
				t.Errorf("%v with %v: %q, early %v", c.initiator, c.responder, r.Muxer, r.Early)
			}
		}
	}
}

// A responder finds out from the last message only, when the initiator did not look.
func TestResponderRefusesWhenNoMuxerIsShared(t *testing.T) {
	cfg := config(t, 1)
	wire, _ := hostile(t, false, cfg, func(s *scripted) []byte {
		return s.payload(t, s.proof(t), "/mplex/6.7.0")
	})
	if !errors.Is(wire, ErrNoCommonMuxer) {
		t.Fatalf("responder says %v", wire)
	}
}

func TestAnotherPeerThanExpectedIsRefused(t *testing.T) {
	ci, cr := config(t, 1), config(t, 2)
	third := newStatic(t, identity.Ed25519, 3).Peer()

	ci.Expect = third
	p := newPair(t, ci, cr)
	p.run()
	var m *identity.MismatchError
	if !errors.As(p.errI, &m) || !errors.Is(p.errI, identity.ErrMismatch) || m.Expected != third || m.Actual != cr.Static.Peer() {
		t.Errorf("initiator says %v", p.errI)
	}
	if len(p.messages) != 2 {
		t.Errorf("the wrong responder was told who we are: %d messages", len(p.messages))
	}

	ci.Expect, cr.Expect = "", third
	p = newPair(t, ci, cr)
	p.run()
	if !errors.As(p.errR, &m) || m.Expected != third || m.Actual != ci.Static.Peer() {
		t.Errorf("responder says %v", p.errR)
	}
	if _, ok := p.responder.Done(); ok {
		t.Error("responder is done")
	}
}

func TestCertificateHashesReachTheInitiator(t *testing.T) {
	ci, cr := config(t, 1), config(t, 2)
	cr.CertHashes = [][]byte{{0x12, 0x20, 1}, {0x12, 0x20, 2}}
	p := newPair(t, ci, cr)
	p.run()
	ri, rr := p.results(t)
	if len(ri.CertHashes) != 2 || !bytes.Equal(ri.CertHashes[1], cr.CertHashes[1]) || len(rr.CertHashes) != 0 {
		t.Fatalf("initiator got %x, responder %x", ri.CertHashes, rr.CertHashes)
	}
}

func TestPrologueBindsTheHandshake(t *testing.T) {
	ci, cr := config(t, 1), config(t, 2)
	ci.Prologue, cr.Prologue = []byte("a"), []byte("a")
	p := newPair(t, ci, cr)
	p.run()
	p.results(t)
	ci.Prologue = []byte("b")
	p = newPair(t, ci, cr)
	p.run()
	if !errors.Is(p.errI, ErrHandshake) {
		t.Fatalf("two prologues: %v", p.errI)
	}
}

func TestLocalFaultsAreNamedAsSuch(t *testing.T) {
	ok := config(t, 1)
	for name, spoil := range map[string]func(*Config){
		"no static key":  func(c *Config) { c.Static = nil },
		"no randomness":  func(c *Config) { c.Rand = nil },
		"frame too long": func(c *Config) { c.Frame = MaxPlaintext + 1 },
		"frame negative": func(c *Config) { c.Frame = -1 },
		"101 muxers":     func(c *Config) { c.Muxers = make([]string, MaxMuxers+1) },
		"no random left": func(c *Config) { c.Initiator, c.Rand = true, io.LimitReader(seeded(1), keySize-1) },
	} {
		c := ok
		spoil(&c)
		if _, err := New(c); !errors.Is(err, ErrLocal) || errors.Is(err, ErrHandshake) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := NewStatic(nil, nil); !errors.Is(err, ErrLocal) {
		t.Errorf("static without a key: %v", err)
	}
	ci, cr := config(t, 1), config(t, 2)
	cr.Rand = io.LimitReader(seeded(1), 3)
	p := newPair(t, ci, cr)
	p.run()
	if !errors.Is(p.errR, ErrLocal) || errors.Is(p.errR, ErrHandshake) {
		t.Errorf("responder without randomness: %v", p.errR)
	}
	ci, cr = config(t, 1), config(t, 2)
	cr.Muxers = []string{string(make([]byte, MaxHandshakeMessage))}
	p = newPair(t, ci, cr)
	p.run()
	if !errors.Is(p.errR, ErrLocal) {
		t.Errorf("own message too long: %v", p.errR)
	}
}

func TestNamesOfARemoteAreShownSafelyAndNotAllOfThem(t *testing.T) {
	names := make([]string, MaxMuxers/4)
	for i := range names {
		names[i] = "/\x1b[2J\u202e\n" + strings.Repeat("x", 100)
	}
	wire, _ := hostile(t, false, config(t, 1), func(s *scripted) []byte { return s.payload(t, s.proof(t), names...) })
	if !errors.Is(wire, ErrNoCommonMuxer) || len(wire.Error()) > 700 || strings.ContainsAny(wire.Error(), "\x1b\n\u202e") {
		t.Errorf("%d bytes: %q", len(wire.Error()), wire)
	}
}

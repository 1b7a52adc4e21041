package webrtc

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/pion/stun/v4"
)

var someone = netip.MustParseAddrPort("192.0.2.1:4001")

func TestUsernames(t *testing.T) {
	v1 := prefixV1 + "abcdefgh"
	v2 := prefixV2 + strings.Repeat("p", minPwd)
	for u, want := range map[string]string{
		v1 + ":" + v1:              v1,
		v2 + ":clientU":            v2,
		v2 + ":abc":                "", // too short for a ufrag
		v1 + ":" + v1 + "x":        "", // v1 has one for both
		prefixV2 + "short:clientU": "",
		"libp2p+webrtc+v3/" + strings.Repeat("p", minPwd) + ":clientU": "",
		v1: "", "": "", ":": "", v1 + ":": "",
		v1 + "\r\na=x:" + v1 + "\r\na=x": "",
		prefixV1 + strings.Repeat("x", maxICE) + ":" + prefixV1 + strings.Repeat("x", maxICE): "",
	} {
		if got, err := username(u); got.server != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", u, got, err)
		}
	}
}

func TestAClientIsAnswered(t *testing.T) {
	for _, version := range []int{1, 2} {
		who := newCredentials(version)
		id := stun.NewTransactionID()
		m, err := who.checkMessage(id, 7)
		if err != nil {
			t.Fatal(err)
		}
		c, err := answerCheck(m, someone)
		if err != nil || c.ufrag != who.server || !c.nominate || !who.answers(c.answer, id) {
			t.Fatalf("v%d: %+v, %v", version, c, err)
		}
		q, err := c.who.triggered()
		if err != nil || len(c.answer) > len(m) || len(c.answer)+len(q) > 2*len(m) {
			t.Errorf("v%d: a question of %d bytes has an answer of %d, and a question of %d: %v", version, len(m), len(c.answer), len(q), err)
		}
		if _, err := who.answerPeer(q, someone); err != nil {
			t.Errorf("v%d: the server's question is not understood: %v", version, err)
		}
		if other := stun.NewTransactionID(); who.answers(c.answer, other) {
			t.Error("an answer to another question passes")
		}
		for i := range m { // every bit of it is sealed
			bad := append([]byte(nil), m...)
			bad[i] ^= 1
			if c, err := answerCheck(bad, someone); err == nil && i < len(m)-8 { // the fingerprint is behind the seal
				t.Errorf("v%d: with byte %d changed: %+v", version, i, c)
			}
		}
		for n := range m {
			if n >= len(m)-8 {
				continue
			}
			if c, err := answerCheck(m[:n], someone); err == nil {
				t.Errorf("v%d: %d of %d bytes: %+v", version, n, len(m), c)
			}
		}
	}
}

// js-libp2p's servers on Node are no ICE-lite: they check as well.
func TestAServerIsAnswered(t *testing.T) {
	who := newCredentials(2)
	q, err := stun.Build(stun.TransactionID, stun.BindingRequest, stun.NewUsername(who.client+":"+who.server),
		stun.NewShortTermIntegrity(who.pass), stun.Fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	out, err := who.answerPeer(q.Raw, someone)
	if err != nil {
		t.Fatal(err)
	}
	a := &stun.Message{}
	if err := stun.Decode(out, a); err != nil || a.TransactionID != q.TransactionID || a.Type != stun.BindingSuccess {
		t.Errorf("%v, %v", a, err)
	}
	if _, err := newCredentials(2).answerPeer(q.Raw, someone); err == nil {
		t.Error("a question to somebody else is answered")
	}
}

func FuzzCheck(f *testing.F) {
	m, err := newCredentials(2).checkMessage(stun.NewTransactionID(), 1)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(m)
	f.Fuzz(func(t *testing.T, p []byte) {
		if !isSTUN(p) {
			return
		}
		c, err := answerCheck(p, someone)
		if err != nil {
			return
		}
		q, err := c.who.triggered()
		if err != nil || len(c.answer)+len(q) > 3*len(p) {
			t.Fatalf("%d bytes are answered by %d and %d: %v", len(p), len(c.answer), len(q), err)
		}
		_, _ = newCredentials(1).answerPeer(p, someone)
	})
}

package identity

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/troupe-p2p/troupe/internal/proven"
)

func TestASignatureThatIsRememberedProvesNothingElse(t *testing.T) {
	k, err := GenerateKey(Ed25519, bytes.NewReader(bytes.Repeat([]byte{1}, 64)))
	if err != nil {
		t.Fatal(err)
	}
	other, err := GenerateKey(Ed25519, bytes.NewReader(bytes.Repeat([]byte{2}, 64)))
	if err != nil {
		t.Fatal(err)
	}
	data := []byte("what is signed")
	sig, err := k.Sign(data)
	if err != nil {
		t.Fatal(err)
	}
	p := proven.Of(k.Public().Raw(), sig, data)
	for range 2 {
		if err := k.Public().Verify(data, sig); err != nil {
			t.Fatal(err)
		}
		if !goodEd25519.Has(p) {
			t.Fatal("it is not remembered")
		}
		for i := range sig {
			bad := bytes.Clone(sig)
			bad[i] ^= 1
			if err := k.Public().Verify(data, bad); !errors.Is(err, ErrSignature) {
				t.Fatalf("another byte %d: %v", i, err)
			}
			if goodEd25519.Has(proven.Of(k.Public().Raw(), bad, data)) {
				t.Fatal("a bad one is remembered")
			}
		}
		for what, err := range map[string]error{
			"another key":     other.Public().Verify(data, sig),
			"other data":      k.Public().Verify(data[1:], sig),
			"no data":         k.Public().Verify(nil, append(sig[:len(sig):len(sig)], data...)),
			"a cut signature": k.Public().Verify(append(sig[63:len(sig):len(sig)], data...), sig[:63]),
		} {
			if !errors.Is(err, ErrSignature) {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
}

// BenchmarkVerifyFirst is about signatures that are not remembered; BenchmarkVerify has those that are.
func BenchmarkVerifyFirst(b *testing.B) {
	k, err := GenerateKey(Ed25519, bytes.NewReader(bytes.Repeat([]byte{1}, 64)))
	if err != nil {
		b.Fatal(err)
	}
	var data, sigs [16 * proven.Slots][]byte
	for i := range data {
		data[i] = fmt.Appendf(nil, "%0100d", i)
		sigs[i], _ = k.Sign(data[i])
	}
	pub, i := k.Public(), 0
	for b.Loop() {
		if pub.Verify(data[i%len(data)], sigs[i%len(data)]) != nil {
			b.Fatal("bad")
		}
		i++
	}
}

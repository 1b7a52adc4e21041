package proven

import "testing"

func TestANewerProofTakesTheSlotOfAnOlder(t *testing.T) {
	var m Table
	older := Of([]byte("key"), []byte("sig"), []byte("data"))
	if m.Has(older) || m.Has(Proof{}) {
		t.Error("an empty table has proofs")
	}
	m.Add(older)
	newer := older
	newer[31] ^= 1 // the same slot
	if !m.Has(older) || m.Has(newer) {
		t.Error("the table has another proof than was added")
	}
	m.Add(newer)
	if m.Has(older) || !m.Has(newer) {
		t.Error("the newer one is not in the place of the older")
	}
}

func TestProofsDifferInEachPart(t *testing.T) {
	seen := map[Proof]bool{}
	for _, p := range []Proof{
		Of([]byte("a"), []byte("b"), []byte("c")), Of([]byte("x"), []byte("b"), []byte("c")),
		Of([]byte("a"), []byte("x"), []byte("c")), Of([]byte("a"), []byte("b"), []byte("x")), Of([]byte("a"), []byte("b"), nil),
	} {
		if seen[p] {
			t.Errorf("%x twice", p)
		}
		seen[p] = true
	}
}

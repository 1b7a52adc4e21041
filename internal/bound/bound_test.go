package bound

import "testing"

func TestStringTellsNameCapAndAttack(t *testing.T) {
	b := Bound{Name: "x: entries", Cap: 64, Attack: "endless entries"}
	if got, want := b.String(), "x: entries <= 64 (endless entries)"; got != want {
		t.Fatalf("String() = %q, want %q", got, want)
	}
}

package identity

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestAMismatchNamesBothPeersAndHasItsKind(t *testing.T) {
	a, b := ID("\x00\x01a"), ID("\x00\x01b")
	err := fmt.Errorf("upgrade: %w", &MismatchError{Expected: a, Actual: b})
	var m *MismatchError
	if !errors.Is(err, ErrMismatch) || !errors.As(err, &m) || m.Expected != a || m.Actual != b {
		t.Fatalf("%#v", err)
	}
	if text := err.Error(); !strings.Contains(text, "expected peer "+a.String()+", "+b.String()+" answered") {
		t.Error(text)
	}
}

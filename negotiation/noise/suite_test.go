package noise

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"testing"
)

// Whole handshakes with the library's own HashSHA256 on the other side are in hostile_test.go.
func TestStatesThatGoRoundGiveTheSameSums(t *testing.T) {
	d := newSuite()
	var before []hash.Hash
	for i := range 3 * inUse {
		msg := bytes.Repeat([]byte{byte(i)}, 7*i)
		h := d.Hash()
		h.Write(msg)
		if want := sha256.Sum256(msg); !bytes.Equal(h.Sum(nil), want[:]) {
			t.Errorf("state %d gives another sum", i)
		}
		for _, b := range before[max(0, len(before)-inUse+1):] {
			if b == h {
				t.Fatalf("state %d is one of the last %d", i, inUse-1)
			}
		}
		before = append(before, h)
	}
	mac, same := hmac.New(d.Hash, []byte("key")), hmac.New(sha256.New, []byte("key"))
	mac.Write([]byte("text"))
	same.Write([]byte("text"))
	if !hmac.Equal(mac.Sum(nil), same.Sum(nil)) {
		t.Error("another MAC")
	}
}

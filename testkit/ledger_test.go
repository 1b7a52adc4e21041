package testkit_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/troupe-p2p/troupe/testkit"
)

func TestLedgerOfAnHonestStreamIsClean(t *testing.T) {
	var wire bytes.Buffer
	l := testkit.NewLedger()
	s := l.Sender("a to b", &wire)
	for _, p := range []string{"one", "", "three"} {
		if _, err := s.Write([]byte(p)); err != nil {
			t.Fatal(err)
		}
	}
	s.Finished()
	r := l.Receiver(&wire)
	for _, want := range []string{"one", "", "three"} {
		if p, err := r.Next(); err != nil || string(p) != want {
			t.Fatalf("%q, %v", p, err)
		}
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if sent, got := l.Records(); sent != 3 || got != 3 || len(l.Faults()) > 0 {
		t.Fatal(l)
	}
}

// Every fault is found and told by its name.
func TestLedgerFindsFaults(t *testing.T) {
	const size = 28 + 4
	for name, row := range map[string]struct {
		harm func(b []byte) []byte
		want string
	}{
		"corrupt payload": {func(b []byte) []byte { b[size+30] ^= 1; return b }, "corrupt"},
		"corrupt length":  {func(b []byte) []byte { b[16] = 0xff; return b }, "corrupt"},
		"corrupt stream":  {func(b []byte) []byte { b[0] = 9; return b }, "nobody sends"},
		"twice":           {func(b []byte) []byte { return append(b[:size:size], b...) }, "come twice"},
		"reordered": {func(b []byte) []byte {
			return append(append(append([]byte{}, b[size:2*size]...), b[:size]...), b[2*size:]...)
		}, "reordered or lost"},
		"one is missing":  {func(b []byte) []byte { return append(b[:size:size], b[2*size:]...) }, "reordered or lost"},
		"the end is lost": {func(b []byte) []byte { return b[:2*size] }, "lost before an orderly end"},
		"half a record":   {func(b []byte) []byte { return b[:2*size+29] }, "orderly end within"},
		"half a header":   {func(b []byte) []byte { return b[:2*size+3] }, "orderly end within"},
	} {
		t.Run(name, func(t *testing.T) {
			var wire bytes.Buffer
			l := testkit.NewLedger()
			s := l.Sender("a to b", &wire)
			for _, p := range []string{"1111", "2222", "3333"} {
				_, _ = s.Write([]byte(p))
			}
			s.Finished()
			r := l.Receiver(bytes.NewReader(row.harm(wire.Bytes())))
			for {
				if _, err := r.Next(); err != nil {
					break
				}
			}
			if f := strings.Join(l.Faults(), "; "); !strings.Contains(f, row.want) {
				t.Errorf("found %q, want %q", f, row.want)
			}
		})
	}
}

// A stream that broke may have lost its end, but not if the sender was told that it came.
func TestLedgerOfABrokenStream(t *testing.T) {
	var wire bytes.Buffer
	l := testkit.NewLedger()
	s := l.Sender("a to b", &wire)
	_, _ = s.Write([]byte("1"))
	_, _ = s.Write([]byte("2"))
	r := l.Receiver(io.MultiReader(bytes.NewReader(wire.Bytes()[:29]), broken{}))
	_, _ = r.Next()
	if _, err := r.Next(); !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
	if f := l.Faults(); len(f) > 0 {
		t.Fatal(f)
	}
	s.Acknowledged()
	if f := l.Faults(); len(f) != 1 || !strings.Contains(f[0], "acknowledged") {
		t.Fatal(f)
	}
}

var errBroken = errors.New("broken")

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errBroken }

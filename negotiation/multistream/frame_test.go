package multistream

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestMessageEncodingIsTheSpecs(t *testing.T) {
	// connections/README.md gives "na" as 0x036e610a.
	if got := appendMessage(nil, "na"); !bytes.Equal(got, []byte{3, 'n', 'a', '\n'}) {
		t.Fatalf("na is encoded as %x", got)
	}
	long := strings.Repeat("x", 299)
	if got := appendMessage(nil, long); got[0] != 0xac || got[1] != 0x02 || len(got) != 302 {
		t.Fatalf("300 bytes of message start with %x and are %d long in all", got[:2], len(got))
	}
}

func TestReaderGivesTheSameMessagesForEverySplit(t *testing.T) {
	texts := []string{"/a", strings.Repeat("b", 127), strings.Repeat("c", MaxMessage-1), "na"}
	var wire []byte
	for _, s := range texts {
		wire = appendMessage(wire, s)
	}
	for size := 1; size <= len(wire); size++ {
		var r reader
		var got []string
		for rest := wire; len(rest) > 0; {
			p := rest[:min(size, len(rest))]
			rest = rest[len(p):]
			for len(p) > 0 {
				msg, n, err := r.next(p)
				if err != nil {
					t.Fatalf("pieces of %d bytes: %v", size, err)
				}
				if msg != nil {
					got = append(got, string(msg))
				}
				p = p[n:]
			}
		}
		if strings.Join(got, "|") != strings.Join(texts, "|") {
			t.Fatalf("pieces of %d bytes gave %d messages that are not the ones sent", size, len(got))
		}
	}
}

func TestReaderRefusesBadLengthsFromTheLengthAlone(t *testing.T) {
	for _, c := range []struct {
		name string
		wire []byte
		want error
	}{
		{"length 0", []byte{0}, ErrProtocol},
		{"1025 bytes", []byte{0x81, 0x08}, ErrTooLarge},
		{"16383 bytes", []byte{0xff, 0x7f}, ErrTooLarge},
		{"three byte varint", []byte{0x80, 0x80, 0x01}, ErrTooLarge},
		{"ten byte varint", []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, ErrTooLarge},
		{"not minimal, 3 in two bytes", []byte{0x83, 0x00, 'n', 'a', '\n'}, ErrProtocol},
		{"not minimal, 0 in two bytes", []byte{0x80, 0x00}, ErrProtocol},
		{"no newline", []byte{2, 'n', 'a'}, ErrProtocol},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, size := range []int{1, len(c.wire)} {
				var r reader
				if err := readAll(&r, c.wire, size); !errors.Is(err, c.want) {
					t.Errorf("in pieces of %d: error %v, want %v", size, err, c.want)
				}
				if cap(r.part) > 64 {
					t.Errorf("in pieces of %d: %d bytes were set aside", size, cap(r.part))
				}
			}
		})
	}
	var r reader
	if err := readAll(&r, appendMessage(nil, strings.Repeat("x", MaxMessage-1)), 7); err != nil {
		t.Errorf("a message of exactly %d bytes: %v", MaxMessage, err)
	}
}

func readAll(r *reader, wire []byte, size int) error {
	for len(wire) > 0 {
		p := wire[:min(size, len(wire))]
		wire = wire[len(p):]
		for len(p) > 0 {
			_, n, err := r.next(p)
			if err != nil {
				return err
			}
			p = p[n:]
		}
	}
	return nil
}

func FuzzReader(f *testing.F) {
	f.Add(appendMessage(appendMessage(nil, ID), "/a"), uint8(3))
	f.Add([]byte{0x80, 0x80, 0x80}, uint8(1))
	f.Add([]byte{0xff, 0x08, 'x'}, uint8(2))
	f.Fuzz(func(t *testing.T, wire []byte, size uint8) {
		var whole, pieces reader
		errWhole := readAll(&whole, wire, len(wire)+1)
		errPieces := readAll(&pieces, wire, int(size)+1)
		if (errWhole == nil) != (errPieces == nil) {
			t.Fatalf("whole: %v, in pieces of %d: %v", errWhole, int(size)+1, errPieces)
		}
		if len(pieces.part) > MaxMessage+2 {
			t.Fatalf("%d bytes were set aside", len(pieces.part))
		}
	})
}

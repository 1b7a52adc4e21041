package yamux

import (
	"bytes"
	"errors"
	"testing"
)

func TestHeaderRoundTrips(t *testing.T) {
	for _, h := range []Header{
		{},
		{Type: TypeData, Flags: FlagSYN, ID: 1, Length: 0xFFFFFFFF},
		{Type: TypeWindowUpdate, Flags: FlagRST, ID: 0x80000002, Length: 0x1002},
		{Type: TypePing, Flags: FlagSYN | FlagACK, Length: 7},
		{Type: TypeGoAway, Flags: allFlags, ID: 0xFFFFFFFF, Length: 2},
	} {
		b := h.Append(nil)
		got, err := ParseHeader(b)
		if err != nil || got != h {
			t.Errorf("%+v came back as %+v, %v", h, got, err)
		}
	}
}

func TestHeaderHasTheLayoutOfTheSpecification(t *testing.T) {
	got := Header{Type: TypeWindowUpdate, Flags: FlagACK | FlagFIN, ID: 0x01020304, Length: 0x05060708}.Append(nil)
	want := []byte{0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 7, 8}
	if !bytes.Equal(got, want) {
		t.Fatalf("% x, want % x", got, want)
	}
}

func TestHeaderTruncatedAtEveryByteIsShort(t *testing.T) {
	b := Header{Type: TypeData, ID: 1, Length: 9}.Append(nil)
	for n := range b {
		if _, err := ParseHeader(b[:n]); !errors.Is(err, ErrShortHeader) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestHeaderRefusesWhatTheSpecificationDoesNotKnow(t *testing.T) {
	for _, c := range []struct {
		at   int
		b    byte
		want error
	}{
		{0, 1, ErrVersion}, {0, 0xFF, ErrVersion},
		{1, 4, ErrType}, {1, 0xFF, ErrType},
		{2, 1, ErrFlags}, {3, 0x10, ErrFlags}, {3, 0x80, ErrFlags},
	} {
		b := Header{Type: TypeData, ID: 1}.Append(nil)
		b[c.at] = c.b
		if _, err := ParseHeader(b); !errors.Is(err, c.want) {
			t.Errorf("byte %d = %#x: %v, want %v", c.at, c.b, err, c.want)
		}
	}
}

func FuzzParseHeader(f *testing.F) {
	f.Add(Header{Type: TypeData, Flags: FlagSYN, ID: 1, Length: 5}.Append(nil))
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHeader(b)
		if err != nil {
			return
		}
		if got := h.Append(nil); !bytes.Equal(got, b[:HeaderSize]) {
			t.Fatalf("% x parsed and written again is % x", b[:HeaderSize], got)
		}
	})
}

package troupe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/iotest"
)

// allocated is how many bytes f allocates, or others meanwhile.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestALengthAloneBuysLittle(t *testing.T) {
	const limit = 64 << 20
	for _, have := range []int{0, 1, firstRead, firstRead + 1, 1 << 20} {
		in := binary.AppendUvarint(nil, limit)
		in = append(in, make([]byte, have)...)
		n := allocated(func() {
			if _, err := readMessage(bytes.NewReader(in), limit); !errors.Is(err, ErrBadMessage) {
				t.Errorf("%v", err)
			}
		})
		if most := uint64(8*have + 8*firstRead); n > most {
			t.Errorf("%d bytes after a length of %d cost %d bytes of memory, want at most %d", have, limit, n, most)
		}
	}
	in := binary.AppendUvarint(nil, limit+1)
	if n := allocated(func() {
		if _, err := readMessage(bytes.NewReader(in), limit); !errors.Is(err, ErrMessageTooLarge) {
			t.Errorf("%v", err)
		}
	}); n > 8*firstRead {
		t.Errorf("a length over the limit costs %d bytes of memory", n)
	}
}

func TestMessagesOfEverySizeRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, 127, 128, firstRead - 1, firstRead, firstRead + 1, 2*firstRead + 1, 1 << 20} {
		body := make([]byte, n)
		for i := range body {
			body[i] = byte(i * 7)
		}
		in := append(binary.AppendUvarint(nil, uint64(n)), body...)
		in = append(in, "rest"...)
		for name, wrap := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "bytewise": iotest.OneByteReader, "with EOF": iotest.DataErrReader,
		} {
			r := bytes.NewReader(in)
			got, err := readMessage(wrap(r), 1<<20)
			if err != nil || !bytes.Equal(got, body) {
				t.Fatalf("%d bytes, %s: %v", n, name, err)
			}
			if name == "whole" && r.Len() != len("rest") {
				t.Fatalf("%d bytes: %d are left, want 4", n, r.Len())
			}
		}
	}
}

func TestErrorsOfTheStreamStayWhatTheyAre(t *testing.T) {
	// As the end of a connection: io.EOF is somewhere in its chain.
	gone := ErrConnectionClosed.with("read", "", io.EOF)
	for _, in := range [][]byte{nil, {5}, {5, 1, 2}} {
		_, err := readMessage(io.MultiReader(bytes.NewReader(in), iotest.ErrReader(gone)), 10)
		if !errors.Is(err, ErrConnectionClosed) || errors.Is(err, ErrBadMessage) {
			t.Errorf("after %d bytes: %v", len(in), err)
		}
	}
}

// FuzzReadMessage: whatever a peer sends is a message within the limit, of exactly the bytes that
// follow its length, or one of two errors.
func FuzzReadMessage(f *testing.F) {
	f.Add([]byte{0}, 16)
	f.Add([]byte{3, 'a', 'b', 'c', 'd'}, 16)
	f.Add([]byte{3, 'a', 'b'}, 16)
	f.Add([]byte{17}, 16)
	f.Add([]byte{0x80, 0}, 16)
	f.Add(bytes.Repeat([]byte{0xff}, 11), 1<<20)
	f.Add(binary.AppendUvarint(nil, 1<<63), 1<<20)
	f.Fuzz(func(t *testing.T, in []byte, limit int) {
		limit = min(max(limit, 0), 1<<20)
		r := bytes.NewReader(in)
		got, err := readMessage(r, limit)
		n, k := binary.Uvarint(in)
		minimal := k > 0 && k == len(binary.AppendUvarint(nil, n))
		switch {
		case minimal && n > uint64(limit):
			if !errors.Is(err, ErrMessageTooLarge) {
				t.Fatalf("length %d over %d: %v", n, limit, err)
			}
		case minimal && uint64(len(in)-k) >= n:
			if err != nil || !bytes.Equal(got, in[k:k+int(n)]) || r.Len() != len(in)-k-int(n) {
				t.Fatalf("%x: %x, %v, %d left", in, got, err, r.Len())
			}
		default:
			if !errors.Is(err, ErrBadMessage) {
				t.Fatalf("%x: %x, %v", in, got, err)
			}
		}
	})
}

// FuzzAnswer: what answer writes, readMessage reads.
func FuzzRefusalText(f *testing.F) {
	f.Add([]byte("not today"))
	f.Add(bytes.Repeat([]byte("ö"), 600))
	f.Fuzz(func(t *testing.T, text []byte) {
		got := refusal(text)
		if len(got) > maxErrorText || !bytes.Equal(got, bytes.ToValidUTF8(got, nil)) {
			t.Fatalf("%q", got)
		}
		if q := printable(text); len(q) < 2 || bytes.ContainsFunc([]byte(q), func(r rune) bool { return r < ' ' }) {
			t.Fatalf("%q is not fit for a log", q)
		}
	})
}

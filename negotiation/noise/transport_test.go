package noise

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/troupe-p2p/troupe/internal/buf"

	fnoise "github.com/flynn/noise"
)

// channel is one direction after a handshake.
func channel(t testing.TB, frame int) (*Sealer, *Opener) {
	t.Helper()
	key := [keySize]byte{1, 2, 3}
	seal, err := newHalf(key)
	if err != nil {
		t.Fatal(err)
	}
	open, err := newHalf(key)
	if err != nil {
		t.Fatal(err)
	}
	return &Sealer{half: seal, frame: frame}, &Opener{half: open}
}

// collectAll opens wire given in pieces of the sizes that size returns.
func collectAll(o *Opener, wire []byte, size func() int) ([]byte, error) {
	var got []byte
	for len(wire) > 0 {
		piece := bytes.Clone(wire[:min(size(), len(wire))])
		wire = wire[len(piece):]
		o.Feed(piece)
		for {
			plain, ok, err := o.Next()
			if err != nil {
				return got, err
			}
			if !ok {
				break
			}
			got = append(got, plain...)
		}
		for i := range piece {
			piece[i] = 0xdb // the loan is over
		}
	}
	return got, nil
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{5}).Read(b)
	return b
}

func TestSealedBytesOpenForEverySize(t *testing.T) {
	data := randomBytes(3*MaxPlaintext + 7)
	random := rand.New(rand.NewPCG(1, 2))
	for _, frame := range []int{1, 100, DefaultFrame, MaxPlaintext} {
		for _, n := range []int{0, 1, 2, 99, 100, 101, DefaultFrame - 1, DefaultFrame, DefaultFrame + 1, 64 << 10, MaxPlaintext, MaxPlaintext + 1, len(data)} {
			if frame == 1 && n > 1000 {
				continue
			}
			s, o := channel(t, frame)
			prefix := []byte("prefix")
			wire, err := s.Seal(prefix, data[:n])
			if err != nil || !bytes.HasPrefix(wire, prefix) {
				t.Fatalf("frame %d, %d bytes: %v", frame, n, err)
			}
			wire = wire[len(prefix):]
			if len(wire) != s.SealedSize(n) {
				t.Errorf("frame %d, %d bytes: sealed to %d, SealedSize says %d", frame, n, len(wire), s.SealedSize(n))
			}
			got, err := collectAll(o, wire, func() int { return 1 + random.IntN(70000) })
			if err != nil || !bytes.Equal(got, data[:n]) {
				t.Errorf("frame %d, %d bytes: %d came back, %v", frame, n, len(got), err)
			}
		}
	}
}

func TestFramesOpenWhereverTheyAreSplit(t *testing.T) {
	live := buf.Live()
	data := randomBytes(250)
	s, _ := channel(t, 100)
	wire, err := s.Seal(nil, data)
	if err != nil {
		t.Fatal(err)
	}
	for first := range len(wire) + 1 {
		for _, second := range []int{1, 2, 17, len(wire)} {
			_, o := channel(t, 100)
			sizes := []int{max(first, 1), second}
			i := 0
			got, err := collectAll(o, wire, func() int { i++; return sizes[min(i-1, 1)] })
			if err != nil || !bytes.Equal(got, data) {
				t.Fatalf("split at %d, then every %d: %d bytes came back, %v", first, second, len(got), err)
			}
			if o.part != nil || o.have != 0 {
				t.Fatalf("split at %d, then every %d: an idle opener holds a buffer", first, second)
			}
		}
	}
	if n := buf.Live() - live; n != 0 {
		t.Errorf("%d buffers were not given back", n)
	}
}

func TestPartialFrameIsGivenBackOnClose(t *testing.T) {
	live := buf.Live()
	s, o := channel(t, 100)
	wire, err := s.Seal(nil, randomBytes(50))
	if err != nil {
		t.Fatal(err)
	}
	o.Feed(wire[:30])
	if _, ok, err := o.Next(); ok || err != nil {
		t.Fatal(ok, err)
	}
	if buf.Live() == live {
		t.Fatal("half a frame is kept nowhere")
	}
	o.Close()
	o.Close()
	if n := buf.Live() - live; n != 0 {
		t.Errorf("%d buffers were not given back", n)
	}
	if _, _, err := o.Next(); !errors.Is(err, ErrLocal) {
		t.Errorf("a closed opener says %v", err)
	}
}

// The borrowed plaintext of a frame that came in pieces lives until the next call, and its buffer
// no longer.
func TestBorrowedPlaintextSurvivesUntilTheNextCall(t *testing.T) {
	s, o := channel(t, 100)
	wire, err := s.Seal(nil, []byte("first"))
	if err != nil {
		t.Fatal(err)
	}
	o.Feed(wire[:10])
	if _, ok, err := o.Next(); ok || err != nil {
		t.Fatal(ok, err)
	}
	o.Feed(wire[10:])
	plain, ok, err := o.Next()
	if !ok || err != nil || string(plain) != "first" || o.part == nil {
		t.Fatalf("%q %v %v", plain, ok, err)
	}
	if _, ok, err := o.Next(); ok || err != nil || o.part != nil {
		t.Fatalf("after the next call: %v %v, buffer held: %v", ok, err, o.part != nil)
	}
}

func TestWireIsWhatNoiseSays(t *testing.T) {
	suite := fnoise.NewCipherSuite(fnoise.DH25519, fnoise.CipherChaChaPoly, fnoise.HashSHA256)
	reference := fnoise.UnsafeNewCipherState(suite, [keySize]byte{1, 2, 3}, 0)
	s, _ := channel(t, 100)
	for i := range 300 {
		text := randomBytes(i % 100)
		if len(text) == 0 {
			continue
		}
		msg, err := reference.Encrypt(nil, nil, text)
		if err != nil {
			t.Fatal(err)
		}
		wire, err := s.Seal(nil, text)
		if err != nil || !bytes.Equal(wire, framed(msg)) {
			t.Fatalf("frame %d: %x, want %x (%v)", i, wire, framed(msg), err)
		}
	}
}

func TestEveryFlippedBitOfAFrameFails(t *testing.T) {
	s, _ := channel(t, 100)
	wire, err := s.Seal(nil, []byte("some text"))
	if err != nil {
		t.Fatal(err)
	}
	for bit := range len(wire) * 8 {
		_, o := channel(t, 100)
		bad := bytes.Clone(wire)
		bad[bit/8] ^= 1 << (bit % 8)
		got, err := collectAll(o, bad, func() int { return len(bad) })
		if len(got) > 0 {
			t.Fatalf("bit %d: opened to %q", bit, got)
		}
		longer := binary.BigEndian.Uint16(bad) > binary.BigEndian.Uint16(wire)
		if !longer && !errors.Is(err, ErrFrame) {
			t.Fatalf("bit %d: %v", bit, err)
		}
		o.Close()
	}
}

func TestReplayedReorderedAndDroppedFramesFail(t *testing.T) {
	s, _ := channel(t, 100)
	var frames [3][]byte
	for i := range frames {
		var err error
		if frames[i], err = s.Seal(nil, []byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	for name, order := range map[string][]int{"replayed": {0, 0}, "reordered": {1, 0}, "dropped": {0, 2}} {
		_, o := channel(t, 100)
		var err error
		for _, i := range order {
			if _, err = collectAll(o, frames[i], func() int { return 100 }); err != nil {
				break
			}
		}
		if !errors.Is(err, ErrFrame) {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, again := o.Next(); !errors.Is(again, ErrFrame) {
			t.Errorf("%s: the failure is not sticky: %v", name, again)
		}
	}
}

func TestFrameShorterThanATagFails(t *testing.T) {
	for n := range tagSize {
		_, o := channel(t, 100)
		if _, err := collectAll(o, framed(make([]byte, n)), func() int { return 100 }); !errors.Is(err, ErrFrame) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestEmptyFramesAreToleratedWithinTheBound(t *testing.T) {
	empties := func(s *Sealer, n int) []byte {
		var wire []byte
		for range n {
			if err := s.advance(); err != nil {
				t.Fatal(err)
			}
			wire = append(wire, 0, tagSize)
			wire = s.aead.Seal(wire, s.nonce[:], nil, nil)
		}
		return wire
	}
	for _, size := range []int{1, 1 << 20} {
		s, o := channel(t, 100)
		for range 3 {
			wire, err := s.Seal(empties(s, MaxEmptyFrames), []byte("x"))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := collectAll(o, wire, func() int { return size }); err != nil || string(got) != "x" {
				t.Fatalf("%d empty frames: %q, %v", MaxEmptyFrames, got, err)
			}
		}
		if _, err := collectAll(o, empties(s, MaxEmptyFrames+1), func() int { return size }); !errors.Is(err, ErrLimit) {
			t.Fatalf("%d empty frames: %v", MaxEmptyFrames+1, err)
		}
	}
}

func TestNoncesEndInsteadOfRepeating(t *testing.T) {
	s, o := channel(t, 100)
	s.count, o.count = math.MaxUint64-1, math.MaxUint64-1
	wire, err := s.Seal(nil, []byte("last"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := collectAll(o, wire, func() int { return 100 }); err != nil || string(got) != "last" {
		t.Fatalf("the last frame: %q %v", got, err)
	}
	for range 2 {
		if wire, err := s.Seal(nil, []byte("x")); !errors.Is(err, ErrExhausted) || len(wire) > 0 {
			t.Errorf("one more frame: %x, %v", wire, err)
		}
		if _, err := collectAll(o, framed(make([]byte, 40)), func() int { return 100 }); !errors.Is(err, ErrExhausted) {
			t.Errorf("one more frame received: %v", err)
		}
	}
}

func TestFeedingTooEarlyIsALocalFault(t *testing.T) {
	_, o := channel(t, 100)
	o.Feed([]byte{1})
	o.Feed([]byte{2})
	if _, _, err := o.Next(); !errors.Is(err, ErrLocal) {
		t.Fatalf("%v", err)
	}
}

func TestDataPathDoesNotAllocate(t *testing.T) {
	s, o := channel(t, DefaultFrame)
	data := randomBytes(64 << 10)
	wire := make([]byte, 0, s.SealedSize(len(data)))
	n := testing.AllocsPerRun(50, func() {
		var err error
		if wire, err = s.Seal(wire[:0], data); err != nil {
			t.Fatal(err)
		}
		total := 0
		for _, piece := range [][]byte{wire[:40000], wire[40000:]} { // the third frame is in both
			o.Feed(piece)
			for {
				plain, ok, err := o.Next()
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					break
				}
				total += len(plain)
			}
		}
		if total != len(data) {
			t.Fatalf("%d bytes came back", total)
		}
	})
	if n >= mayAllocate {
		t.Errorf("%v allocations for 64 KiB", n)
	}
}

func BenchmarkSeal64KiB(b *testing.B) {
	for _, frame := range []int{4 << 10, DefaultFrame, MaxPlaintext} {
		b.Run(sizeName(frame), func(b *testing.B) {
			s, _ := channel(b, frame)
			data := randomBytes(64 << 10)
			var wire []byte
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				wire, _ = s.Seal(wire[:0], data)
			}
		})
	}
}

func BenchmarkOpen64KiB(b *testing.B) {
	for _, frame := range []int{4 << 10, DefaultFrame, MaxPlaintext} {
		b.Run(sizeName(frame), func(b *testing.B) {
			s, o := channel(b, frame)
			data := randomBytes(64 << 10)
			wire, err := s.Seal(nil, data)
			if err != nil {
				b.Fatal(err)
			}
			read := make([]byte, len(wire))
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				copy(read, wire) // stands for the read, opening is in place
				o.count = 0
				o.Feed(read)
				for ok := true; ok; {
					if _, ok, err = o.Next(); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func sizeName(n int) string {
	switch n {
	case DefaultFrame:
		return "default"
	case MaxPlaintext:
		return "largest"
	}
	return "4KiB"
}

func BenchmarkHandshakeBothSides(b *testing.B) {
	ci, cr := config(b, 1), config(b, 2)
	b.ReportAllocs()
	for b.Loop() {
		p := newPair(b, ci, cr)
		p.run()
		if _, ok := p.responder.Done(); !ok {
			b.Fatal(p.errI, p.errR)
		}
	}
}

package noise

import (
	"testing"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/buf"
)

func FuzzHandshake(f *testing.F) {
	static := newStatic(f, identity.Ed25519, 1)
	f.Add(framed(make([]byte, keySize)), uint8(3), true)
	f.Add([]byte{0xff, 0xff}, uint8(0), false)
	f.Fuzz(func(t *testing.T, wire []byte, size uint8, initiator bool) {
		h, err := New(Config{Static: static, Rand: seeded(2), Initiator: initiator, Muxers: []string{"/yamux/1.0.0"}})
		if err != nil {
			t.Fatal(err)
		}
		h.AppendOutput(nil)
		for len(wire) > 0 {
			p := wire[:min(int(size)+1, len(wire))]
			n, err := h.HandleBytes(p)
			if n < 0 || n > len(p) {
				t.Fatalf("used %d of %d bytes", n, len(p))
			}
			if len(h.part) > lengthSize+MaxHandshakeMessage {
				t.Fatalf("%d bytes are set aside", len(h.part))
			}
			out := h.AppendOutput(nil)
			if err != nil {
				if len(out) > 0 {
					t.Fatalf("answers after %v", err)
				}
				return
			}
			wire = wire[len(p):]
		}
		if _, done := h.Done(); done {
			t.Fatal("done without a remote that holds any key")
		}
	})
}

func FuzzPayload(f *testing.F) {
	static := newStatic(f, identity.Ed25519, 1)
	good, err := appendExtensions(append([]byte(nil), static.payload...), []string{"/yamux/1.0.0"}, [][]byte{{1}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{0x22, 0x80, 0x80, 0x80, 0x80, 0x08})
	f.Fuzz(func(t *testing.T, payload []byte) {
		p, err := readPayload(payload, static.pair.Public)
		if err != nil {
			return
		}
		if p.peer != static.Peer() || len(p.muxers) > MaxMuxers || len(p.certHashes) > MaxMuxers {
			t.Fatalf("accepted %v, %d muxers", p.peer, len(p.muxers))
		}
	})
}

func FuzzOpener(f *testing.F) {
	s, _ := channel(f, 100)
	good, err := s.Seal(nil, []byte("some text that is longer than nothing"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, uint8(7))
	f.Add([]byte{0, 0, 0, 16}, uint8(1))
	f.Fuzz(func(t *testing.T, wire []byte, size uint8) {
		live := buf.Live()
		_, o := channel(t, 100)
		_, _ = collectAll(o, wire, func() int { return int(size) + 1 })
		o.Close()
		if n := buf.Live() - live; n != 0 {
			t.Fatalf("%d buffers were not given back", n)
		}
	})
}

// FuzzSplit seals and opens what the fuzzer gives, in frames and pieces that it chooses.
func FuzzSplit(f *testing.F) {
	f.Add([]byte("hello"), uint16(3), uint16(2))
	f.Fuzz(func(t *testing.T, data []byte, frame, size uint16) {
		s, o := channel(t, min(int(frame)+1, MaxPlaintext))
		wire, err := s.Seal(nil, data)
		if err != nil {
			t.Fatal(err)
		}
		got, err := collectAll(o, wire, func() int { return int(size) + 1 })
		if err != nil || string(got) != string(data) {
			t.Fatalf("%d bytes became %d: %v", len(data), len(got), err)
		}
	})
}

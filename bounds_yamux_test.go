package troupe_test

import (
	"bytes"
	"context"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"io"
	"math/big"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/mux/yamux"
	"github.com/troupe-p2p/troupe/protocols/ping/pingcore"
	"github.com/troupe-p2p/troupe/stream"
)

// hostile is a yamux session with a remote that says whatever a driver likes.
type hostile struct {
	*yamux.Session
	events int // made by the last frames
}

func newHostile(cfg yamux.Config) *hostile {
	return &hostile{Session: yamux.New(cfg, yamux.Server, boundEpoch)}
}

// frame feeds one frame; each event goes to f. It reports false once the session has ended.
func (h *hostile) frame(hd yamux.Header, body []byte, f func(yamux.Event)) bool {
	err := h.HandleBytes(boundEpoch, append(hd.Append(nil), body...))
	h.events = 0
	for e, ok := h.Next(); ok; e, ok = h.Next() {
		h.events++
		if f != nil {
			f(e)
		}
	}
	return err == nil && h.Err() == nil
}

// write takes what the session has to say.
func (h *hostile) write() {
	for _, _, ok := h.NextWrite(); ok; _, _, ok = h.NextWrite() {
	}
}

func (h *hostile) open(id uint32) bool {
	ok := h.frame(yamux.Header{Type: yamux.TypeWindowUpdate, Flags: yamux.FlagSYN, ID: id}, nil, func(e yamux.Event) {
		if e.Kind == yamux.StreamOpened {
			h.Accept(boundEpoch, e.ID)
		}
	})
	h.write()
	return ok
}

var boundedYamux = map[string]boundDriver{
	"mux/yamux: inbound streams of a session": func(_ *testing.T, b troupe.Bound) (most int) {
		h := newHostile(yamux.Config{})
		for i := range 100 * b.Cap {
			h.open(uint32(2*i + 1))
			most = max(most, h.Stats().Inbound)
		}
		return most
	},
	"mux/yamux: inbound streams not accepted": func(_ *testing.T, b troupe.Bound) (most int) {
		h := newHostile(yamux.Config{})
		for i := range 100 * b.Cap {
			h.frame(yamux.Header{Type: yamux.TypeWindowUpdate, Flags: yamux.FlagSYN, ID: uint32(2*i + 1)}, nil, nil)
			h.write()
			most = max(most, h.Stats().Unaccepted)
		}
		return most
	},
	// The caps in bytes are fed at a smaller height, which is held in the same way.
	"mux/yamux: bytes delivered and not consumed, per stream": func(t *testing.T, b troupe.Bound) int {
		h := newHostile(yamux.Config{MaxWindow: yamux.ProtocolWindow})
		h.open(1)
		body := make([]byte, 1<<10)
		most := 0
		for range 100 * yamux.ProtocolWindow / len(body) {
			if !h.frame(yamux.Header{Type: yamux.TypeData, ID: 1, Length: uint32(len(body))}, body, nil) {
				break
			}
			st, _ := h.Stream(1)
			most = max(most, st.Held)
		}
		return scaled(most, yamux.ProtocolWindow, b.Cap)
	},
	"mux/yamux: bytes delivered and not consumed, per session": func(_ *testing.T, b troupe.Bound) int {
		const small = 4 * yamux.ProtocolWindow
		h := newHostile(yamux.Config{MaxHeld: small})
		body := make([]byte, yamux.ProtocolWindow/2)
		most := 0
		for i := range 100 * small / len(body) {
			id := uint32(2*i + 1)
			h.open(id)
			h.frame(yamux.Header{Type: yamux.TypeData, ID: id, Length: uint32(len(body))}, body, nil)
			h.write()
			most = max(most, h.Stats().Held)
		}
		return scaled(most, small, b.Cap)
	},
	"mux/yamux: bytes kept of an unfinished frame": func(_ *testing.T, b troupe.Bound) int {
		// The body of a frame is passed on as it comes; only its header waits to be whole.
		h := newHostile(yamux.Config{})
		h.open(1)
		raw := yamux.Header{Type: yamux.TypeData, ID: 1, Length: yamux.ProtocolWindow}.Append(nil)
		raw = append(raw, make([]byte, 100*b.Cap)...)
		kept, most := 0, 0
		for i := range raw {
			_ = h.HandleBytes(boundEpoch, raw[i:i+1])
			kept++
			for e, ok := h.Next(); ok; e, ok = h.Next() {
				kept -= len(e.P)
			}
			if kept == yamux.HeaderSize && i+1 == yamux.HeaderSize {
				most, kept = kept, 0 // the header is whole, and is done with
			}
			most = max(most, kept)
		}
		return most
	},
	"mux/yamux: events made by one frame": func(_ *testing.T, b troupe.Bound) (most int) {
		for range 100 {
			for flags := range yamux.Flags(16) {
				for _, kind := range []yamux.FrameType{yamux.TypeData, yamux.TypeWindowUpdate, yamux.TypePing, yamux.TypeGoAway} {
					h := newHostile(yamux.Config{})
					for _, id := range []uint32{1, 1, 3} {
						h.frame(yamux.Header{Type: kind, Flags: flags, ID: id}, nil, nil)
						most = max(most, h.events)
					}
				}
			}
		}
		return most
	},
	"mux/yamux: queued answers to pings": func(_ *testing.T, b troupe.Bound) (most int) {
		h := newHostile(yamux.Config{})
		h.write()
		for i := range 100 * b.Cap {
			h.frame(yamux.Header{Type: yamux.TypePing, Flags: yamux.FlagSYN, Length: uint32(i)}, nil, nil)
			most = max(most, h.Stats().ControlPending)
		}
		return most
	},
	"mux/yamux: queued resets of the remote's streams": func(_ *testing.T, b troupe.Bound) (most int) {
		h := newHostile(yamux.Config{MaxInboundStreams: 1})
		h.write()
		for i := range 100 * b.Cap {
			if !h.frame(yamux.Header{Type: yamux.TypeWindowUpdate, Flags: yamux.FlagSYN, ID: uint32(2*i + 1)}, nil, nil) {
				break
			}
			most = max(most, h.Stats().ControlPending)
		}
		return most
	},
	"mux/yamux: bytes accepted after CloseRead, per stream": func(_ *testing.T, b troupe.Bound) (most int) {
		h := newHostile(yamux.Config{})
		h.open(1)
		h.CloseRead(boundEpoch, 1, 0)
		body := make([]byte, 64<<10)
		for range 100 * b.Cap / len(body) {
			over := false
			if !h.frame(yamux.Header{Type: yamux.TypeData, ID: 1, Length: uint32(len(body))}, body, func(e yamux.Event) {
				over = over || e.Kind == yamux.StreamClosed
			}) || over {
				break
			}
			h.write() // the credit, without which nothing may be sent
			most += len(body)
		}
		return most
	},
	"mux/yamux: young streams reset at once": func(_ *testing.T, b troupe.Bound) (most int) {
		h := newHostile(yamux.Config{})
		for i := range 100 * b.Cap {
			id := uint32(2*i + 1)
			h.open(id)
			if !h.frame(yamux.Header{Type: yamux.TypeWindowUpdate, Flags: yamux.FlagRST, ID: id}, nil, nil) {
				break
			}
			h.write()
			most++
		}
		return most
	},
}

// scaled is what a container of a smaller height held, in terms of the real one.
func scaled(most, height, limit int) int {
	if most > height {
		return limit + most
	}
	return most
}

// boundedNode feeds what only a whole node has.
var boundedNode = map[string]boundDriver{
	"protocols/ping: inbound streams of a peer": func(t *testing.T, b troupe.Bound) (most int) {
		a, n := couple(t)
		var held []*troupe.Stream
		for range 100 * b.Cap {
			s := open(t, a, n.ID(), troupe.PingProtocol)
			if _, err := s.Write(make([]byte, pingcore.Size)); err != nil {
				continue
			}
			if _, err := io.ReadFull(s, make([]byte, pingcore.Size)); err == nil {
				held = append(held, s)
				most = max(most, len(held))
			}
		}
		return most
	},
	"request: bytes of a message": func(t *testing.T, b troupe.Bound) int {
		a, n := couple(t)
		answers(t, n, troupe.RequestOptions{}, func(context.Context, string) (string, error) { return "", nil })
		return largest(b.Cap, func(size int) bool {
			if size < 16 {
				return false
			}
			s := open(t, a, n.ID(), asked)
			// What is more than a megabyte is refused by its length; nobody waits for the rest.
			p := binary.AppendUvarint(nil, uint64(size))
			p = append(p, 10)
			text := size - 1 - len(binary.AppendUvarint(nil, uint64(size)))
			for len(binary.AppendUvarint(nil, uint64(text)))+1+text != size {
				text++
			}
			p = binary.AppendUvarint(p, uint64(text))
			p = append(p, bytes.Repeat([]byte("x"), min(text, 2*b.Cap))...)
			if _, err := s.Write(p); err != nil {
				return false
			}
			_ = s.CloseWrite()
			got, err := io.ReadAll(s)
			return err == nil && len(got) > 0 && got[0] == 0
		})
	},
	"request: bytes that a length alone allocates": func(t *testing.T, b troupe.Bound) int {
		a, n := couple(t)
		answers(t, n, troupe.RequestOptions{}, func(context.Context, string) (string, error) { return "", nil })
		const many = 100
		var held []*troupe.Stream
		before := heap()
		for range many {
			s := open(t, a, n.ID(), asked)
			if _, err := s.Write(binary.AppendUvarint(nil, 1<<20)); err != nil {
				t.Fatal(err)
			}
			held = append(held, s)
		}
		until(t, "every handler", func() bool { return streams(n) >= many })
		// All of it: both ends of the stream, its actors, and what the length bought.
		each := (heap() - before) / many
		runtime.KeepAlive(held)
		if each > 8*b.Cap {
			return each
		}
		return b.Cap
	},
	"request: bytes of the text of a refusal": func(t *testing.T, b troupe.Bound) int {
		a, n := couple(t)
		return largest(b.Cap, func(size int) bool {
			got := byHand(t, n, append(binary.AppendUvarint([]byte{1}, uint64(size)), strings.Repeat("x", size)...))
			_, err := ask(t, a, n, "well?", troupe.RequestOptions{})
			got()
			return errors.Is(err, troupe.ErrRefused)
		})
	},
	"stream: bytes that wait for the remote, given by an actor handler": func(t *testing.T, b troupe.Bound) int {
		a, n := couple(t)
		var given atomic.Int64
		register(t, n, "/pour", troupe.ActorHandler(func() actor.Actor { return &pourer{given: &given, limit: int64(100 * b.Cap)} }))
		s := open(t, a, n.ID(), "/pour")
		if _, err := s.Write([]byte("x")); err != nil { // and never reads
			t.Fatal(err)
		}
		return beyondTheWindow(t, &given, pourPiece)
	},
	"stream: bytes that wait for the remote, copied from a blocking handler": func(t *testing.T, b troupe.Bound) int {
		a, n := couple(t)
		var given atomic.Int64
		register(t, n, "/pour", troupe.StreamHandler(func(_ context.Context, s *troupe.Stream) {
			p := make([]byte, 64)
			for given.Load() < yamux.ProtocolWindow+int64(100*b.Cap) {
				n, err := s.Write(p)
				if given.Add(int64(n)); err != nil {
					return
				}
			}
		}))
		s := open(t, a, n.ID(), "/pour")
		if _, err := s.Write([]byte("x")); err != nil { // and never reads
			t.Fatal(err)
		}
		return beyondTheWindow(t, &given, 0)
	},
}

// beyondTheWindow waits until a handler is held up that writes to a remote that never reads, and returns
// how much of what it has given is not in the remote's window, less one piece.
func beyondTheWindow(t *testing.T, given *atomic.Int64, piece int) int {
	t.Helper()
	last := int64(-1)
	until(t, "the handler to be held up", func() bool {
		now := given.Load()
		stands := now > 0 && now == last
		last = now
		return stands
	})
	return max(int(last)-yamux.ProtocolWindow-piece, 1)
}

const pourPiece = 32 << 10

// pourer writes for as long as it may.
type pourer struct {
	given *atomic.Int64
	limit int64
}

func (p *pourer) Receive(ctx actor.Context) {
	var s *troupe.StreamRef
	switch m := ctx.Message().(type) {
	case *troupe.StreamData:
		s = m.Stream
	case *troupe.StreamWritable:
		s = m.Stream
	default:
		return
	}
	for p.given.Load() < p.limit {
		p.given.Add(pourPiece)
		if s.WriteCopy(make([]byte, pourPiece)) != stream.Accepted {
			return
		}
	}
}

func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}

func allocatedBy(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// rsaPublic is a public key with an odd modulus of so many bits.
func rsaPublic(t *testing.T, bits int) []byte {
	t.Helper()
	n := new(big.Int).Lsh(big.NewInt(1), uint(max(bits, 2))-1)
	n.SetBit(n, 0, 1)
	inner, err := asn1.Marshal(struct {
		N *big.Int
		E int
	}{n, 65537})
	if err != nil {
		t.Fatal(err)
	}
	der, err := asn1.Marshal(struct {
		Algorithm struct {
			ID     asn1.ObjectIdentifier
			Params asn1.RawValue
		}
		Key asn1.BitString
	}{
		Algorithm: struct {
			ID     asn1.ObjectIdentifier
			Params asn1.RawValue
		}{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}, asn1.NullRawValue},
		Key: asn1.BitString{Bytes: inner, BitLength: 8 * len(inner)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return append(binary.AppendUvarint([]byte{8, 0, 0x12}, uint64(len(der))), der...)
}

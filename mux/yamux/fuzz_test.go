package yamux

import (
	"errors"
	"testing"
	"time"
)

// FuzzHandleBytes plays arbitrary bytes to both roles, with an application that does a bit of
// everything and a conduit that takes frames, or none. Nothing may panic or pass its cap.
func FuzzHandleBytes(f *testing.F) {
	frames := func(hs ...Header) (b []byte) {
		for _, h := range hs {
			b = h.Append(b)
			if h.Type == TypeData {
				b = append(b, make([]byte, min(h.Length, 64))...)
			}
		}
		return b
	}
	f.Add(uint8(0), frames(Header{Type: TypeWindowUpdate, Flags: FlagSYN, ID: 2}, Header{Type: TypeData, ID: 2, Length: 5}, Header{Type: TypeData, Flags: FlagFIN, ID: 2}))
	f.Add(uint8(1), frames(Header{Type: TypeData, Flags: FlagSYN, ID: 1, Length: 9}, Header{Type: TypeWindowUpdate, Flags: FlagRST, ID: 1, Length: 7}))
	f.Add(uint8(3), frames(Header{Type: TypeData, Flags: FlagSYN | FlagFIN, ID: 3, Length: 1}, Header{Type: TypeGoAway}))
	f.Add(uint8(5), frames(Header{Type: TypeWindowUpdate, Flags: FlagACK, ID: 2, Length: 1 << 20}, Header{Type: TypePing, Flags: FlagSYN, Length: 3}, Header{Type: TypePing, Flags: FlagACK, Length: 1}))
	f.Add(uint8(7), frames(Header{Type: TypeData, ID: 1, Length: 0xFFFFFFFF}))
	f.Add(uint8(9), frames(Header{Type: TypeData, Flags: FlagSYN, ID: 1, Length: 262145}))
	f.Fuzz(func(t *testing.T, mode uint8, in []byte) {
		role, takes, chunk := Role(mode&1), mode&2 == 0, 1+int(mode>>2)
		s := New(Config{MaxInboundStreams: 8, AcceptBacklog: 4, PingBacklog: 4, ResetBurst: 16, ControlBurst: 64}, role, start)
		open := map[uint32]bool{}
		for range 2 {
			id, err := s.OpenStream(start)
			if err != nil {
				t.Fatal(err)
			}
			open[id] = true
			if err := s.Write(start, id, make([]byte, 100)); err != nil {
				t.Fatal(err)
			}
		}
		write := func() {
			for n := 0; takes; n++ {
				hdr, body, ok := s.NextWrite()
				if !ok {
					break
				}
				h, err := ParseHeader(hdr)
				if err != nil || h.Type == TypeData && int(h.Length) != len(body) {
					t.Fatalf("wrote a bad frame: %v %v", h, err)
				}
			}
		}
		now := start
		handled := 0
		ended := false
		drain := func() {
			for ev, ok := s.Next(); ok; ev, ok = s.Next() {
				if s.events.len() > maxFrameEvents+3 { // and what the application below causes
					t.Fatalf("%d events wait", s.events.len())
				}
				handled++
				switch ev.Kind {
				case StreamOpened:
					if open[ev.ID] {
						t.Fatalf("stream %d opened twice", ev.ID)
					}
					open[ev.ID] = true
					switch handled % 4 {
					case 0:
						s.Refuse(now, ev.ID, 1)
					case 1, 2:
						s.Accept(now, ev.ID)
					}
				case Data:
					if !open[ev.ID] {
						t.Fatalf("data for %d", ev.ID)
					}
					if handled%5 == 0 {
						s.CloseRead(now, ev.ID, 1)
					}
					s.Consumed(now, ev.ID, ev.N/2+1)
				case RemoteClosed:
					if handled%2 == 0 {
						_ = s.CloseWrite(now, ev.ID) // gone already, perhaps
					}
				case StreamClosed:
					if !open[ev.ID] {
						t.Fatalf("stream %d closed twice", ev.ID)
					}
					delete(open, ev.ID)
				case Ended:
					if ended || ev.Err == nil {
						t.Fatal("ended twice, or without a reason")
					}
					ended = true
				}
			}
			checkBounds(t, s)
		}
		drain()
		write()
		drain()
		for len(in) > 0 {
			n := min(chunk, len(in))
			now = now.Add(time.Millisecond)
			if err := s.HandleBytes(now, in[:n]); err != nil {
				if errors.Is(err, ErrNotDrained) || s.Err() == nil {
					t.Fatal(err)
				}
				break
			}
			in = in[n:]
			drain()
			write()
			drain()
		}
		s.HandleClosed(now, nil)
		drain()
		if !ended || len(open) > 0 {
			t.Fatalf("ended %v, never closed: %v", ended, open)
		}
	})
}

// FuzzPair runs two honest ends with the input as their decisions.
func FuzzPair(f *testing.F) {
	f.Add([]byte("\x00\x01\x02\x03\x00\x00\x00\x03\x05\x00\x07\xff\x01\x07\x0b\x30\x00\x04\x0a\x00\x08\xff\xff"))
	for i := range 8 {
		b := make([]byte, 4000)
		for j := range b {
			b[j] = byte(j*j>>3 + j*(i+3))
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 8<<10 {
			return
		}
		c := &scripted{b: in}
		p := newPair(t, c, pairConfig(c))
		for !p.done {
			p.step()
		}
		p.settle()
		p.checkEmpty()
	})
}

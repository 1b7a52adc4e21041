package yamux

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"
)

// TestViolationsEndTheSessionWithACode walks every way in which one frame can be wrong. The
// session under test is a server with stream 1 open.
func TestViolationsEndTheSessionWithACode(t *testing.T) {
	for name, c := range map[string]struct {
		frames []Header
		raw    []byte
		want   error
	}{
		"unknown version":          {raw: []byte{1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0}, want: ErrVersion},
		"unknown type":             {raw: []byte{0, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0}, want: ErrType},
		"unknown flag":             {raw: []byte{0, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 0}, want: ErrFlags},
		"data for stream 0":        {frames: []Header{{Type: TypeData, Length: 1}}, want: ErrStreamZero},
		"update for stream 0":      {frames: []Header{{Type: TypeWindowUpdate, Length: 1}}, want: ErrStreamZero},
		"SYN for stream 0":         {frames: []Header{{Type: TypeWindowUpdate, Flags: FlagSYN}}, want: ErrStreamZero},
		"SYN with our parity":      {frames: []Header{{Type: TypeWindowUpdate, Flags: FlagSYN, ID: 2}}, want: ErrParity},
		"data SYN with our parity": {frames: []Header{{Type: TypeData, Flags: FlagSYN, ID: 4, Length: 1}}, want: ErrParity},
		"SYN twice":                {frames: []Header{{Type: TypeWindowUpdate, Flags: FlagSYN, ID: 1}}, want: ErrDoubleSYN},
		"data SYN twice":           {frames: []Header{{Type: TypeData, Flags: FlagSYN, ID: 1, Length: 1}}, want: ErrDoubleSYN},
		"SYN beyond the window":    {frames: []Header{{Type: TypeData, Flags: FlagSYN, ID: 3, Length: ProtocolWindow + 1}}, want: ErrWindowExceeded},
		"SYN RST beyond the window": {
			frames: []Header{{Type: TypeData, Flags: FlagSYN | FlagRST, ID: 3, Length: math.MaxUint32}}, want: ErrWindowExceeded},
		"length of 2^32-1 with the body withheld": {
			frames: []Header{{Type: TypeData, ID: 1, Length: math.MaxUint32}}, want: ErrWindowExceeded},
		"RST with a body beyond the window": {
			frames: []Header{{Type: TypeData, Flags: FlagRST, ID: 1, Length: ProtocolWindow + 1}}, want: ErrWindowExceeded},
		"length of 2^32-1 for an unknown stream": {
			frames: []Header{{Type: TypeData, ID: 9, Length: math.MaxUint32}}, want: ErrWindowExceeded},
		"send window past 2^32-1 at once": {
			frames: []Header{{Type: TypeWindowUpdate, ID: 1, Length: math.MaxUint32 - ProtocolWindow + 1}}, want: ErrWindowOverflow},
		"send window past 2^32-1 in two": {
			frames: []Header{{Type: TypeWindowUpdate, ID: 1, Length: 0xFFFF0000 - ProtocolWindow}, {Type: TypeWindowUpdate, ID: 1, Length: 0x10000}}, want: ErrWindowOverflow},
		"send window past 2^32-1 with the SYN": {
			frames: []Header{{Type: TypeWindowUpdate, Flags: FlagSYN, ID: 3, Length: math.MaxUint32}}, want: ErrWindowOverflow},
	} {
		t.Run(name, func(t *testing.T) {
			x := newScript(t, Config{}, Server)
			x.open(1)
			raw := c.raw
			for _, h := range c.frames {
				raw = h.Append(raw)
			}
			x.raw(raw)
			if !errors.Is(x.s.Err(), c.want) {
				t.Fatalf("ended with %v, want %v", x.s.Err(), c.want)
			}
			x.want("the remote is told", "goaway 0 1")
			closed := 0
			for _, ev := range x.evs {
				if ev.Kind == StreamClosed && ev.ID == 1 {
					closed++
				}
			}
			if closed != 1 {
				t.Fatalf("stream 1 closed %d times", closed)
			}
			if err := x.s.HandleBytes(x.now, raw); !errors.Is(err, c.want) {
				t.Fatalf("bytes after the end: %v", err)
			}
		})
	}
}

// TestDataIsHeldToTheWindowToTheByte fills a window and goes one byte past it, in one frame and
// in many.
func TestDataIsHeldToTheWindowToTheByte(t *testing.T) {
	for _, chunk := range []int{1 << 10, 1000, ProtocolWindow} {
		x := newScript(t, Config{}, Server)
		x.open(1)
		for left := ProtocolWindow; left > 0; left -= chunk {
			n := min(chunk, left)
			x.send(Header{Type: TypeData, ID: 1, Length: uint32(n)}, zeros(n))
		}
		if err := x.s.Err(); err != nil {
			t.Fatalf("a full window in chunks of %d: %v", chunk, err)
		}
		if got := x.s.Stats().Held; got != ProtocolWindow {
			t.Fatalf("held %d", got)
		}
		x.send(Header{Type: TypeData, ID: 1, Length: 1}, "x")
		if !errors.Is(x.s.Err(), ErrWindowExceeded) {
			t.Fatalf("one byte more: %v", x.s.Err())
		}
	}
}

func TestUnconsumedDataOfAllStreamsIsBounded(t *testing.T) {
	x := newScript(t, Config{MaxHeld: ProtocolWindow + 10}, Server)
	x.open(1)
	x.open(3)
	x.send(Header{Type: TypeData, ID: 1, Length: ProtocolWindow}, zeros(ProtocolWindow))
	x.send(Header{Type: TypeData, ID: 3, Length: 10}, zeros(10))
	x.evs = nil
	x.send(Header{Type: TypeData, ID: 3, Length: 1}, "x")
	x.want("the stream that goes past the cap is reset", "window RST 3 4098")
	x.see("which is told", "reset 3 0x1002 local", "closed 3")
	x.s.Consumed(x.now, 1, 100)
	x.open(5)
	x.send(Header{Type: TypeData, ID: 5, Length: 2}, "ok")
	x.see("others go on when there is room", `data 5 "ok"`)
}

func TestSYNFloodIsRefusedPastTheCaps(t *testing.T) {
	x := newScript(t, Config{}, Server)
	const syns = 100_000
	p := make([]byte, 0, HeaderSize*syns)
	for i := range syns {
		p = Header{Type: TypeWindowUpdate, Flags: FlagSYN, ID: uint32(2*i + 1)}.Append(p)
	}
	for len(p) > 0 {
		n := min(len(p), 64<<10)
		x.raw(p[:n])
		p = p[n:]
		if st := x.s.Stats(); st.Inbound > DefaultAcceptBacklog || st.ControlPending > 0 {
			t.Fatalf("%+v", st)
		}
	}
	st := x.s.Stats()
	if st.Inbound != DefaultAcceptBacklog || st.Unaccepted != DefaultAcceptBacklog || st.Refused != syns-DefaultAcceptBacklog {
		t.Fatalf("%+v", st)
	}
	if len(x.out) != syns-DefaultAcceptBacklog {
		t.Fatalf("%d refusals written", len(x.out))
	}
	if want := fmt.Sprintf("window RST %d %d", 2*DefaultAcceptBacklog+1, ResetResourceLimit); x.out[0] != want {
		t.Fatalf("refused with %q, want %q", x.out[0], want)
	}
	if err := x.s.Err(); err != nil {
		t.Fatalf("a flood whose refusals are read is only refused: %v", err)
	}
}

func TestStreamCapIsExact(t *testing.T) {
	x := newScript(t, Config{MaxInboundStreams: 3}, Server)
	for id := uint32(1); id <= 5; id += 2 {
		x.open(id)
	}
	x.send(Header{Type: TypeData, Flags: FlagSYN, ID: 7, Length: 2}, "no")
	x.want("the fourth is refused", "window RST 7 4098")
	x.see("without an event")
	x.send(Header{Type: TypeWindowUpdate, Flags: FlagRST, ID: 1})
	x.see("one goes", "reset 1 0x0 remote", "closed 1")
	x.open(9)
}

func TestARefusedSYNCostsNoAllocation(t *testing.T) {
	s := New(Config{MaxInboundStreams: 1}, Server, start)
	write := func() {
		for _, _, ok := s.NextWrite(); ok; _, _, ok = s.NextWrite() {
		}
	}
	drain := func() {
		for _, ok := s.Next(); ok; _, ok = s.Next() {
		}
		write()
	}
	id, b := uint32(1), make([]byte, 0, HeaderSize)
	if n := testing.AllocsPerRun(1000, func() {
		b = Header{Type: TypeWindowUpdate, Flags: FlagSYN, ID: id}.Append(b[:0])
		id += 2
		if err := s.HandleBytes(start, b); err != nil {
			t.Fatal(err)
		}
		drain()
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func TestUnreadRefusalsEndTheSession(t *testing.T) {
	s := New(Config{MaxInboundStreams: 1}, Server, start)
	b := make([]byte, 0, HeaderSize)
	n := 0
	for s.Err() == nil {
		b = Header{Type: TypeWindowUpdate, Flags: FlagSYN, ID: uint32(2*n + 1)}.Append(b[:0])
		if err := s.HandleBytes(start, b); err != nil {
			t.Fatal(err)
		}
		for _, ok := s.Next(); ok; _, ok = s.Next() {
		}
		if got := s.Stats().ControlPending; got > maxOwedResets+2 {
			t.Fatalf("%d control frames wait", got)
		}
		n++
	}
	if !errors.Is(s.Err(), ErrNotReading) || n != maxOwedResets+2 {
		t.Fatalf("after %d SYNs: %v", n, s.Err())
	}
}

func TestUnreadRefusalsOfTheCallersEndTheSessionToo(t *testing.T) {
	s := New(Config{}, Server, start)
	b := make([]byte, 0, HeaderSize)
	for n := 0; s.Err() == nil; n++ {
		if n > maxOwedResets {
			t.Fatal("no end")
		}
		b = Header{Type: TypeWindowUpdate, Flags: FlagSYN, ID: uint32(2*n + 1)}.Append(b[:0])
		if err := s.HandleBytes(start, b); err != nil {
			t.Fatal(err)
		}
		for ev, ok := s.Next(); ok; ev, ok = s.Next() {
			if ev.Kind == StreamOpened {
				s.Refuse(start, ev.ID, ResetResourceLimit)
			}
		}
	}
	if !errors.Is(s.Err(), ErrNotReading) {
		t.Fatal(s.Err())
	}
}

func TestRapidResetEndsTheSession(t *testing.T) {
	for name, frames := range map[string][]Header{
		"SYN, RST": {{Type: TypeWindowUpdate, Flags: FlagSYN}, {Type: TypeWindowUpdate, Flags: FlagRST}},
		"SYN|RST":  {{Type: TypeWindowUpdate, Flags: FlagSYN | FlagRST}},
		"data":     {{Type: TypeData, Flags: FlagSYN}, {Type: TypeData, Flags: FlagRST}},
	} {
		x := newScript(t, Config{}, Server)
		n := 0
		for ; x.s.Err() == nil && n < 2*DefaultResetBurst; n++ {
			for _, h := range frames {
				h.ID = uint32(2*n + 1)
				if x.s.Err() == nil {
					x.send(h)
				}
			}
		}
		if !errors.Is(x.s.Err(), ErrResetFlood) || n != DefaultResetBurst+1 {
			t.Errorf("%s: after %d: %v", name, n, x.s.Err())
		}
		if last := x.out[len(x.out)-1]; last != "goaway 0 4098" {
			t.Errorf("%s: last frame %q", name, last)
		}
	}
}

func TestHonestResetsAreBorne(t *testing.T) {
	x := newScript(t, Config{ActivePing: -1}, Server)
	for n := range uint32(5000) { // at 100 a second, half the rate
		x.pass(10 * time.Millisecond)
		x.send(Header{Type: TypeWindowUpdate, Flags: FlagSYN, ID: 2*n + 1})
		x.send(Header{Type: TypeWindowUpdate, Flags: FlagRST, ID: 2*n + 1})
	}
	if err := x.s.Err(); err != nil {
		t.Fatal("slow resets:", err)
	}
	y := newScript(t, Config{}, Server)
	y.send(Header{Type: TypePing, Flags: FlagACK, Length: 1})
	for n := range uint32(2000) {
		y.open(2*n + 1)
	}
	y.pass(rapidResetAge)
	y.evs, y.out = nil, nil
	for n := range uint32(2000) {
		y.send(Header{Type: TypeWindowUpdate, Flags: FlagRST, ID: 2*n + 1})
	}
	if err := y.s.Err(); err != nil {
		t.Fatal("old streams cancelled at once:", err)
	}
}

func TestPingFlood(t *testing.T) {
	s := New(Config{}, Server, start)
	s.NextWrite()
	var p []byte
	for i := range uint32(1000) {
		p = Header{Type: TypePing, Flags: FlagSYN, Length: i}.Append(p)
	}
	if err := s.HandleBytes(start, p); err != nil {
		t.Fatal(err)
	}
	for _, ok := s.Next(); ok; _, ok = s.Next() {
	}
	if st := s.Stats(); st.ControlPending != DefaultPingBacklog || st.PongsDropped != 1000-DefaultPingBacklog {
		t.Fatalf("unread answers: %+v", st)
	}
	for i := range uint32(DefaultPingBacklog) {
		hdr, _, _ := s.NextWrite()
		if h, _ := ParseHeader(hdr); h.Length != i || h.Flags != FlagACK {
			t.Fatalf("answer %d is %s", i, show(h))
		}
	}
}

// TestFloodsOfFramesWithoutEffectEndTheSession sends each kind until the budget is used up.
func TestFloodsOfFramesWithoutEffectEndTheSession(t *testing.T) {
	for name, h := range map[string]Header{
		"pings":                     {Type: TypePing, Flags: FlagSYN},
		"pongs nobody asked for":    {Type: TypePing, Flags: FlagACK, Length: 77},
		"pings without a flag":      {Type: TypePing},
		"updates of 0":              {Type: TypeWindowUpdate, ID: 1},
		"updates of 1":              {Type: TypeWindowUpdate, ID: 1, Length: 1},
		"acks again":                {Type: TypeWindowUpdate, Flags: FlagACK, ID: 1},
		"empty data":                {Type: TypeData, ID: 1},
		"updates, unknown stream":   {Type: TypeWindowUpdate, ID: 99, Length: 1},
		"updates, stream of ours":   {Type: TypeWindowUpdate, ID: 98, Length: 1},
		"RST, unknown stream":       {Type: TypeWindowUpdate, Flags: FlagRST, ID: 99},
		"FIN, unknown stream":       {Type: TypeData, Flags: FlagFIN, ID: 99},
		"FIN again":                 {Type: TypeWindowUpdate, Flags: FlagFIN, ID: 3},
		"empty data after FIN":      {Type: TypeData, ID: 3},
		"goaway again":              {Type: TypeGoAway},
		"a byte, unknown stream":    {Type: TypeData, ID: 99, Length: 1},
		"a byte after FIN":          {Type: TypeData, ID: 3, Length: 1},
		"100 KiB to nobody at once": {Type: TypeData, ID: 99, Length: 100 << 10},
	} {
		x := newScript(t, Config{}, Server)
		x.open(1)
		x.open(3)
		x.send(Header{Type: TypeWindowUpdate, Flags: FlagFIN, ID: 3})
		if h.Type == TypeGoAway {
			x.send(h)
		}
		frame := append(h.Append(nil), make([]byte, dataLen(h))...)
		price := max(1, dataLen(h)/1024)
		n := 0
		for ; x.s.Err() == nil && n <= 2*DefaultControlBurst; n++ {
			x.raw(frame)
			x.evs, x.out = nil, nil
		}
		if !errors.Is(x.s.Err(), ErrControlFlood) {
			t.Errorf("%s: after %d frames: %v", name, n, x.s.Err())
		}
		if n*price < DefaultControlBurst-price || n*price > DefaultControlBurst+2*price {
			t.Errorf("%s: ended after %d frames", name, n)
		}
		if got := x.s.Stats().EndCode; got != GoAwayRateLimited {
			t.Errorf("%s: code %#x", name, got)
		}
	}
}

func dataLen(h Header) int {
	if h.Type != TypeData {
		return 0
	}
	return int(h.Length)
}

func TestWindowUpdatesForDataThatWeSendAreFree(t *testing.T) {
	x := newScript(t, Config{}, Client)
	id := x.dial()
	body := make([]byte, 4<<10)
	for range 5 * DefaultControlBurst {
		if err := x.s.Write(x.now, id, body); err != nil {
			t.Fatal(err)
		}
		x.drain()
		x.send(Header{Type: TypeWindowUpdate, ID: id, Length: uint32(len(body))})
		x.out, x.evs = nil, nil
	}
	if err := x.s.Err(); err != nil {
		t.Fatal(err)
	}
}

// TestWhatWasInFlightAtAResetIsFree resets streams while a window of tiny frames is under way
// on each, far more frames than the control budget has.
func TestWhatWasInFlightAtAResetIsFree(t *testing.T) {
	x := newScript(t, Config{ControlBurst: 1, ControlRate: 1}, Server)
	for n := range uint32(20) {
		id := 2*n + 1
		x.open(id)
		x.s.Reset(x.now, id, 0)
		x.drain()
		x.evs, x.out = nil, nil
	}
	for n := range uint32(20) {
		id := 2*n + 1
		for range ProtocolWindow / 256 {
			x.send(Header{Type: TypeData, ID: id, Length: 256}, zeros(256))
		}
		x.send(Header{Type: TypeWindowUpdate, ID: id, Length: 1})
		x.send(Header{Type: TypeWindowUpdate, Flags: FlagFIN, ID: id})
	}
	x.see("late data is dropped")
	if err := x.s.Err(); err != nil {
		t.Fatal(err)
	}
	if x.s.late.bytes != 0 {
		t.Fatalf("%d bytes of allowance left", x.s.late.bytes)
	}
}

func TestAllowanceForLateFramesIsCapped(t *testing.T) {
	var l late
	for range 1 << 20 {
		l.allow(math.MaxUint32)
	}
	if l.bytes != maxLateBytes || l.frames != maxLateFrames {
		t.Fatalf("%+v", l)
	}
}

// TestBoundaryValuesInEveryField puts the numbers that overflow into every field of every frame.
func TestBoundaryValuesInEveryField(t *testing.T) {
	values := []uint32{0, 1, 2, 1<<31 - 1, 1 << 31, 1<<31 + 1, math.MaxUint32 - 1, math.MaxUint32}
	for _, role := range []Role{Client, Server} {
		for typ := TypeData; typ <= TypeGoAway; typ++ {
			for flags := Flags(0); flags <= allFlags; flags++ {
				for _, id := range values {
					for _, length := range values {
						x := newScript(t, Config{}, role)
						x.send(Header{Type: TypeWindowUpdate, Flags: FlagSYN, ID: 1 + uint32(1-role)})
						x.send(Header{Type: typ, Flags: flags, ID: id, Length: length}, "body")
						checkBounds(t, x.s)
					}
				}
			}
		}
	}
}

// checkBounds asserts what must hold of a session at any time.
func checkBounds(t testing.TB, s *Session) {
	t.Helper()
	st := s.Stats()
	switch {
	case st.Inbound > s.cfg.MaxInboundStreams:
		t.Fatalf("%d inbound streams", st.Inbound)
	case st.Unaccepted > s.cfg.AcceptBacklog:
		t.Fatalf("%d streams not accepted", st.Unaccepted)
	case st.Unacked > s.cfg.OpenBacklog:
		t.Fatalf("%d streams not acknowledged", st.Unacked)
	case st.Held > s.cfg.MaxHeld:
		t.Fatalf("%d bytes held", st.Held)
	case st.Grown > s.cfg.WindowBudget || st.Grown < 0:
		t.Fatalf("windows grown by %d", st.Grown)
	case s.pongs.n > s.cfg.PingBacklog:
		t.Fatalf("%d answers to pings", s.pongs.n)
	case s.owed > maxOwedResets || s.owed < 0:
		t.Fatalf("%d resets", s.owed)
	case st.ControlPending > s.cfg.PingBacklog+s.resets.n+len(s.streams)+2:
		t.Fatalf("%d control frames wait", st.ControlPending)
	case s.late.bytes > maxLateBytes || s.late.frames > maxLateFrames:
		t.Fatalf("allowance %+v", s.late)
	}
	held, grown, inbound := 0, 0, 0
	for id, sm := range s.streams {
		held += sm.held
		grown += sm.window - ProtocolWindow
		if sm.inbound {
			inbound++
		}
		if sm.id != id || sm.held < 0 || s.room(sm) < 0 || sm.window > s.cfg.MaxWindow {
			t.Fatalf("stream %d holds %d of a window of %d, and %d are granted", id, sm.held, sm.window, sm.grant)
		}
		if sm.links[dataQueue].in && (sm.body == nil || sm.sendWindow == 0) {
			t.Fatalf("stream %d waits to send and cannot", id)
		}
		if sm.body != nil && sm.sendWindow > 0 && !sm.links[dataQueue].in {
			t.Fatalf("stream %d could send and does not wait", id)
		}
		if (sm.wantSYN && !sm.heldSYN || sm.wantACK || sm.wantFIN || sm.wantCredit) && !sm.links[controlQueue].in && !sm.links[dataQueue].in {
			t.Fatalf("stream %d has something to say and is in no queue", id)
		}
	}
	if held != st.Held || grown != st.Grown || inbound != st.Inbound {
		t.Fatalf("sums %d %d %d, counted %d %d %d", st.Held, st.Grown, st.Inbound, held, grown, inbound)
	}
}

func TestBoundsAreNamedOnceAndHaveCaps(t *testing.T) {
	seen := map[string]bool{}
	for _, b := range Bounds() {
		if b.Cap <= 0 || b.Attack == "" || seen[b.Name] {
			t.Errorf("%v", b)
		}
		seen[b.Name] = true
	}
}

func TestUpdatesThatCrossAnOrderlyEndAreFree(t *testing.T) {
	x := newScript(t, Config{ControlBurst: 1, ControlRate: 1}, Server)
	for n := range uint32(10) {
		id := 2*n + 1
		x.open(id)
		x.send(Header{Type: TypeWindowUpdate, Flags: FlagFIN, ID: id})
		if err := x.s.CloseWrite(x.now, id); err != nil {
			t.Fatal(err)
		}
		x.drain()
		x.evs, x.out = nil, nil
		for range lateFrames {
			x.send(Header{Type: TypeWindowUpdate, ID: id, Length: 1})
		}
	}
	if err := x.s.Err(); err != nil {
		t.Fatal(err)
	}
}

func TestSmallWritesEarnNoMoreThanTheirBytes(t *testing.T) {
	x := newScript(t, Config{}, Client)
	id := x.dial()
	tokens := func() (n int) {
		for x.s.control.Take(1, x.now) {
			n++
		}
		return n
	}
	tokens()
	for range 10 * earnPerToken {
		if err := x.s.Write(x.now, id, []byte("x")); err != nil {
			t.Fatal(err)
		}
		x.drain()
	}
	if got := tokens(); got != 10 {
		t.Fatalf("earned %d, want 10", got)
	}
}

func TestAFaultyRemoteGetsOnlyTheGoAway(t *testing.T) {
	x := newScript(t, Config{MaxInboundStreams: 1}, Server)
	x.open(1)
	bad := Header{Type: TypeWindowUpdate, Flags: FlagSYN, ID: 3}.Append(nil)
	bad = Header{Type: TypePing, Flags: FlagSYN}.Append(bad)
	x.raw(append(bad, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9))
	x.want("what was waiting for it is dropped", "goaway 0 1")
}

package yamux

import (
	"errors"
	"io"
	"testing"
	"time"
)

func TestStreamLivesFromSYNToBothFINs(t *testing.T) {
	x := newScript(t, Config{}, Server)
	x.send(Header{Type: TypeData, Flags: FlagSYN, ID: 1, Length: 5}, "hello")
	x.see("data may come with the SYN", "opened 1", `data 1 "hello"`)
	x.s.Accept(x.now, 1)
	x.want("accepting acknowledges", "window ACK 1 0")
	if err := x.s.Write(x.now, 1, []byte("hi")); err != nil {
		t.Fatal(err)
	}
	x.want("the answer goes out", "data 1 2")
	x.see("the body is given back", "written 1 2")
	x.send(Header{Type: TypeWindowUpdate, Flags: FlagFIN, ID: 1})
	x.see("a FIN closes one direction only", "remote closed 1")
	if err := x.s.CloseWrite(x.now, 1); err != nil {
		t.Fatal(err)
	}
	x.want("ours closes the other", "window FIN 1 0")
	x.see("and the stream is gone", "closed 1")
	if n := x.s.NumStreams(); n != 0 {
		t.Fatalf("%d streams left", n)
	}
}

func TestOpeningFlagsRideOnTheFirstFrame(t *testing.T) {
	x := newScript(t, Config{}, Client)
	id, _ := x.s.OpenStream(x.now)
	if err := x.s.Write(x.now, id, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	x.want("a write before the first drain carries the SYN", "data SYN 1 5")
	x.see("no acknowledgement is waited for", "written 1 5")

	x.send(Header{Type: TypeWindowUpdate, Flags: FlagSYN, ID: 2})
	x.see("the remote opens one", "opened 2")
	if err := x.s.Write(x.now, 2, []byte("hi")); err != nil {
		t.Fatal(err)
	}
	x.want("writing accepts, and the ACK rides on the data", "data ACK 2 2")

	wide := newScript(t, Config{InitialWindow: 1 << 20}, Client)
	id, _ = wide.s.OpenStream(wide.now)
	if err := wide.s.Write(wide.now, id, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	wide.want("a wider first window is told with the SYN", "window SYN 1 786432", "data 1 5")

	cancelled := newScript(t, Config{}, Client)
	id, _ = cancelled.s.OpenStream(cancelled.now)
	if err := cancelled.s.Write(cancelled.now, id, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if n := cancelled.s.CancelWrite(id); n != 0 {
		t.Fatalf("cancel: %d bytes sent, want 0", n)
	}
	cancelled.want("a cancelled body leaves the SYN behind", "window SYN 1 0")
}

func TestFINNeverRidesOnData(t *testing.T) {
	x := newScript(t, Config{MaxFrame: 4}, Client)
	id := x.dial()
	if err := x.s.Write(x.now, id, []byte("abcdef")); err != nil {
		t.Fatal(err)
	}
	if err := x.s.CloseWrite(x.now, id); err != nil {
		t.Fatal(err)
	}
	x.want("the FIN follows the body", "data 1 4", "data 1 2", "window FIN 1 0")
	x.see("the stream lives on half-closed", "written 1 6")
	if err := x.s.Write(x.now, id, []byte("x")); !errors.Is(err, ErrWriteClosed) {
		t.Fatalf("write after CloseWrite: %v", err)
	}
	x.send(Header{Type: TypeData, Flags: FlagFIN, ID: id, Length: 3}, "end")
	x.see("a remote's FIN on data comes after the data", `data 1 "end"`, "remote closed 1", "closed 1")
}

func TestResetCarriesItsCode(t *testing.T) {
	x := newScript(t, Config{}, Client)
	a, b, c := x.dial(), x.dial(), x.dial()
	x.s.Reset(x.now, a, 0x1004)
	x.want("the code is in the length", "window RST 1 4100")
	x.see("a reset of our own is a close", "closed 1")
	x.send(Header{Type: TypeWindowUpdate, Flags: FlagRST, ID: b, Length: 0x1007})
	x.see("the remote's code arrives", "reset 3 0x1007 remote", "closed 3")
	x.send(Header{Type: TypeData, Flags: FlagRST, ID: c, Length: 2}, "no")
	x.see("RST on data has no code, and its body is not delivered", "reset 5 0x0 remote", "closed 5")
	x.send(Header{Type: TypePing, Flags: FlagSYN, Length: 9})
	x.want("parsing is in step after the skipped body", "ping ACK 0 9")

	id, _ := x.s.OpenStream(x.now)
	x.s.Reset(x.now, id, 1)
	x.want("a stream that the remote never heard of needs no RST")
	x.see("but ends like every other", "closed 7")
}

func TestRefuseTellsTheCode(t *testing.T) {
	x := newScript(t, Config{}, Server)
	x.send(Header{Type: TypeWindowUpdate, Flags: FlagSYN, ID: 1})
	x.s.Refuse(x.now, 1, 0x1003)
	x.want("a refusal is an RST", "window RST 1 4099")
	x.see("it ends the stream", "opened 1", "closed 1")
	x.send(Header{Type: TypeData, ID: 1, Length: 4}, "late")
	x.want("what was in flight is dropped")
	x.see("without a word")
}

func TestResetInTheMiddleOfABodySkipsTheRest(t *testing.T) {
	x := newScript(t, Config{}, Server)
	x.open(1)
	x.send(Header{Type: TypeData, Flags: FlagFIN, ID: 1, Length: 6}, "abc")
	x.see("a body is delivered as it arrives", `data 1 "abc"`)
	x.s.Reset(x.now, 1, 0)
	x.want("reset", "window RST 1 0")
	x.see("the stream is gone", "closed 1")
	x.raw(append([]byte("def"), Header{Type: TypePing, Flags: FlagSYN, Length: 3}.Append(nil)...))
	x.want("the next frame is found", "ping ACK 0 3")
	x.see("the rest of the body was nobody's")
}

func TestAFrameInTheMiddleOfItsHeaderIsKept(t *testing.T) {
	x := newScript(t, Config{}, Server)
	b := append(Header{Type: TypeData, Flags: FlagSYN, ID: 1, Length: 2}.Append(nil), "ab"...)
	for i := range b {
		x.raw(b[i : i+1])
	}
	x.see("byte by byte it is the same stream", "opened 1", `data 1 "a"`, `data 1 "b"`)
}

func TestSendingStopsAtTheWindow(t *testing.T) {
	x := newScript(t, Config{}, Client)
	id := x.dial()
	x.pass(time.Second)
	if err := x.s.Write(x.now, id, make([]byte, ProtocolWindow+10)); err != nil {
		t.Fatal(err)
	}
	if err := x.s.Write(x.now, id, []byte("x")); !errors.Is(err, ErrWritePending) {
		t.Fatalf("second body: %v", err)
	}
	x.want("256 KiB go out", "data 1 65536", "data 1 65536", "data 1 65536", "data 1 65536")
	if st, _ := x.s.Stream(id); st.BlockedSince != x.now || st.Pending != 10 || st.SendWindow != 0 {
		t.Fatalf("the stall is not shown: %+v", st)
	}
	x.pass(time.Second)
	x.send(Header{Type: TypeWindowUpdate, ID: id, Length: 4})
	x.want("credit lets as much go", "data 1 4")
	if n := x.s.CancelWrite(id); n != ProtocolWindow+4 {
		t.Fatalf("cancelled after %d bytes", n)
	}
	x.see("a cancelled body is not written")
	x.send(Header{Type: TypeWindowUpdate, ID: id, Length: 4})
	if err := x.s.Write(x.now, id, []byte("ab")); err != nil {
		t.Fatal(err)
	}
	x.want("the stream goes on with the next", "data 1 2")
	x.see("which is", "written 1 2")
	if st, _ := x.s.Stream(id); !st.BlockedSince.IsZero() {
		t.Fatal("still shown as stalled")
	}
}

func TestBodiesTakeTurns(t *testing.T) {
	x := newScript(t, Config{MaxFrame: 3}, Client)
	a, b := x.dial(), x.dial()
	x.send(Header{Type: TypePing, Flags: FlagACK, Length: 1})
	for _, id := range []uint32{a, b} {
		if err := x.s.Write(x.now, id, []byte("abcdef")); err != nil {
			t.Fatal(err)
		}
	}
	x.s.Ping(x.now)
	x.want("control first, then frame by frame", "ping SYN 0 2", "data 1 3", "data 3 3", "data 1 3", "data 3 3")
}

// TestASmallBodyPassesLargeOnes, and many of them do not keep the large ones from their turns.
func TestASmallBodyPassesLargeOnes(t *testing.T) {
	const frame = 16 << 10
	x := newScript(t, Config{MaxFrame: frame}, Client)
	a, b, c := x.dial(), x.dial(), x.dial()
	write := func(id uint32, n int) {
		t.Helper()
		if err := x.s.Write(x.now, id, make([]byte, n)); err != nil {
			t.Fatal(err)
		}
	}
	next := func() (Header, bool) {
		hdr, body, ok := x.s.NextWrite()
		if !ok {
			t.Fatal("nothing to write")
		}
		h, err := ParseHeader(hdr)
		if err != nil {
			t.Fatal(err)
		}
		return h, len(body) > smallBody
	}
	write(a, 4*frame)
	write(b, 4*frame)
	write(c, smallBody)
	if h, _ := next(); h.ID != c {
		t.Fatal("first is stream", h.ID)
	}
	small, large := 0, 0
	for range 40 {
		for _, ok := x.s.Next(); ok; _, ok = x.s.Next() { // what is written makes room for more
		}
		if st, _ := x.s.Stream(c); st.Pending == 0 {
			write(c, smallBody)
		}
		if h, isLarge := next(); isLarge {
			large += frame
		} else if small += smallBody; h.ID != c {
			t.Fatal("a small frame of stream", h.ID)
		}
	}
	if small == 0 || large == 0 || small > (large/frame+1)*(smallRun+smallBody) {
		t.Errorf("%d bytes of small bodies and %d of large ones", small, large)
	}
}

func TestEmptyWriteIsWrittenAtOnce(t *testing.T) {
	x := newScript(t, Config{}, Client)
	id := x.dial()
	if err := x.s.Write(x.now, id, nil); err != nil {
		t.Fatal(err)
	}
	x.want("nothing goes out")
	x.see("and it is done", "written 1 0")
}

func TestCreditReturnsHalfAWindowAtATime(t *testing.T) {
	x := newScript(t, Config{WindowBudget: -1}, Server)
	x.open(1)
	half := ProtocolWindow / 2
	x.send(Header{Type: TypeData, ID: 1, Length: uint32(half)}, zeros(half))
	if got := x.s.Stats().Held; got != half {
		t.Fatalf("%d bytes held", got)
	}
	x.s.Consumed(x.now, 1, half-1)
	x.want("less than half waits")
	x.s.Consumed(x.now, 1, 1)
	x.want("half is told", "window 1 131072")
	x.s.Consumed(x.now, 1, 1<<30)
	x.want("more than was delivered cannot be consumed")
	if st, _ := x.s.Stream(1); st.Held != 0 || x.s.Stats().Held != 0 {
		t.Fatalf("held %d, sum %d", st.Held, x.s.Stats().Held)
	}
}

func TestCloseReadDropsAndCreditsThenResets(t *testing.T) {
	x := newScript(t, Config{}, Server)
	x.open(1)
	chunk := uint32(ProtocolWindow / 2)
	x.send(Header{Type: TypeData, ID: 1, Length: chunk}, zeros(chunk))
	x.evs = nil
	x.s.CloseRead(x.now, 1, 0x77)
	x.want("what was held is credited", "window 1 131072")
	sent := 0
	for sent+int(chunk) <= maxDiscard {
		x.send(Header{Type: TypeData, ID: 1, Length: chunk}, zeros(chunk))
		x.want("dropped data is credited", "window 1 131072")
		sent += int(chunk)
	}
	x.see("nothing is delivered")
	x.send(Header{Type: TypeData, ID: 1, Length: chunk}, zeros(chunk))
	x.want("a remote that does not stop is told", "window RST 1 119")
	x.see("with the code of CloseRead", "reset 1 0x77 local", "closed 1")
}

func TestHalfClosedStreamEndsWithTheOtherHalf(t *testing.T) {
	x := newScript(t, Config{}, Server)
	x.open(1)
	x.s.CloseRead(x.now, 1, 0)
	if err := x.s.CloseWrite(x.now, 1); err != nil {
		t.Fatal(err)
	}
	x.want("closing both of ours sends one FIN", "window FIN 1 0")
	x.send(Header{Type: TypeData, ID: 1, Length: 1}, "x")
	x.see("the remote's half is still open, though nobody reads")
	x.send(Header{Type: TypeWindowUpdate, Flags: FlagFIN, ID: 1})
	x.see("its FIN ends the stream", "remote closed 1", "closed 1")
}

func TestKeepAlive(t *testing.T) {
	x := newScript(t, Config{ActivePing: -1}, Client)
	x.now = x.now.Add(20 * time.Millisecond)
	x.send(Header{Type: TypePing, Flags: FlagACK, Length: 1})
	if got := x.s.RTT(); got != 20*time.Millisecond {
		t.Fatalf("round trip %v", got)
	}
	due, _ := x.s.Deadline()
	if want := x.now.Add(DefaultKeepAlive); due != want {
		t.Fatalf("due %v, want %v", due, want)
	}
	x.pass(DefaultKeepAlive - 1)
	x.want("silence is borne for 30 s")
	x.pass(1)
	x.want("then a ping goes out", "ping SYN 0 2")
	x.pass(9 * time.Second)
	x.send(Header{Type: TypePing, Flags: FlagSYN, Length: 5})
	x.want("a sign of life", "ping ACK 0 5")
	x.pass(9 * time.Second)
	x.see("puts the end off")
	x.pass(time.Second)
	x.see("silence and no answer end it", "ended: yamux: remote: nothing received, and no answer to a ping in time")
	x.want("there is nobody to tell")
	if _, ok := x.s.Deadline(); ok {
		t.Fatal("an ended session has a deadline")
	}
}

func TestAStuckOutputCountsAgainstKeepAlive(t *testing.T) {
	s := New(Config{}, Client, start)
	if !s.WantsWrite() {
		t.Fatal("the first ping waits to be written")
	}
	s.HandleTimeout(start.Add(DefaultKeepAliveTimeout))
	if !errors.Is(s.Err(), ErrKeepAlive) {
		t.Fatalf("a ping that was never taken: %v", s.Err())
	}
}

func TestKeepAliveCanBeTurnedOff(t *testing.T) {
	x := newScript(t, Config{KeepAlive: -1}, Client)
	if _, ok := x.s.Deadline(); ok {
		t.Fatal("there is a deadline")
	}
	x.pass(time.Hour)
	x.see("nothing happens")
}

func TestRemoteGoAway(t *testing.T) {
	x := newScript(t, Config{}, Client)
	id := x.dial()
	x.send(Header{Type: TypeGoAway})
	x.see("code 0 is told", "goaway 0x0")
	var gone *GoAwayError
	if _, err := x.s.OpenStream(x.now); !errors.As(err, &gone) || !gone.Remote {
		t.Fatalf("OpenStream: %v", err)
	}
	if err := x.s.Write(x.now, id, []byte("x")); err != nil {
		t.Fatalf("open streams may finish: %v", err)
	}
	x.want("and do", "data 1 1")

	y := newScript(t, Config{}, Client)
	y.dial()
	y.dial()
	y.send(Header{Type: TypeGoAway, Length: 0x1001})
	y.see("any other code is the end", "goaway 0x1001",
		"ended: yamux: remote: session is going away, code 0x1001", "closed 1", "closed 3")
	if err := y.s.HandleBytes(y.now, []byte("x")); !errors.As(err, &gone) || gone.Code != 0x1001 {
		t.Fatalf("bytes after the end: %v", err)
	}
	if err := y.s.Write(y.now, 1, []byte("x")); !errors.As(err, &gone) {
		t.Fatalf("write after the end: %v", err)
	}
}

func TestLocalGoAwayWaitsForStreams(t *testing.T) {
	x := newScript(t, Config{}, Client)
	id := x.dial()
	x.s.GoAway(x.now, GoAwayNormal)
	x.want("go-yamux would drop the stream if it were told now")
	var gone *GoAwayError
	if _, err := x.s.OpenStream(x.now); !errors.As(err, &gone) || gone.Remote {
		t.Fatalf("OpenStream: %v", err)
	}
	x.send(Header{Type: TypeWindowUpdate, Flags: FlagSYN, ID: 2})
	x.want("new streams are refused", "window RST 2 4103")
	x.s.Reset(x.now, id, 3)
	x.want("the last reset goes before the farewell", "window RST 1 3", "goaway 0 0")
	x.see("the session is over", "closed 1", "ended: yamux: local: session is going away, code 0x0")

	y := newScript(t, Config{}, Client)
	y.dial()
	y.s.GoAway(y.now, 0x1004)
	y.want("a code ends at once", "goaway 0 4100")
	y.see("with every stream", "ended: yamux: local: session is going away, code 0x1004", "closed 1")

	z := newScript(t, Config{}, Client)
	z.dial()
	if got := z.s.Stats().Outbound; got != 1 {
		t.Fatalf("%d streams", got)
	}
	z.s.GoAway(z.now, GoAwayNormal)
	z.s.GoAway(z.now, GoAwayNormal)
	z.want("so does asking twice", "goaway 0 0")
	z.s.GoAway(z.now, 5)
	z.want("the end comes once")
	if _, err := z.s.OpenStream(z.now); !errors.As(err, &gone) || gone.Code != GoAwayNormal {
		t.Fatalf("OpenStream after the end: %v", err)
	}
	if _, ok := z.s.Stream(1); ok {
		t.Fatal("a stream is left")
	}
}

func TestConduitEnds(t *testing.T) {
	x := newScript(t, Config{}, Server)
	x.open(1)
	x.raw([]byte{0, 0})
	x.s.HandleClosed(x.now, io.EOF)
	x.see("streams end with it", "ended: yamux: remote: connection ended inside a frame: EOF", "closed 1")
	x.want("nothing more is written")
	var gone *ClosedError
	if err := x.s.Err(); !errors.As(err, &gone) || !gone.Orderly() || errors.Is(err, io.EOF) {
		t.Fatalf("%v: lost its cause, or could be taken for the end of a stream", err)
	}
}

func TestOpenBacklogHoldsBackUntilTheRemoteKeepsUp(t *testing.T) {
	x := newScript(t, Config{OpenBacklog: 2}, Client)
	a, _ := x.s.OpenStream(x.now)
	b, _ := x.s.OpenStream(x.now)
	if _, err := x.s.OpenStream(x.now); !errors.Is(err, ErrOpenBacklog) {
		t.Fatalf("third open: %v", err)
	}
	x.want("two", "window SYN 1 0", "window SYN 3 0")
	x.send(Header{Type: TypeData, ID: b, Length: 1}, "x")
	x.see("data acknowledges as well as ACK", "acked 3", `data 3 "x"`)
	x.send(Header{Type: TypeWindowUpdate, Flags: FlagRST, ID: a, Length: ResetResourceLimit})
	x.see("a refusal makes room without acknowledging", "reset 1 0x1002 remote", "closed 1")
	for range 2 {
		if _, err := x.s.OpenStream(x.now); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCommandsForUnknownStreams(t *testing.T) {
	x := newScript(t, Config{}, Client)
	if err := x.s.Write(x.now, 9, []byte("x")); !errors.Is(err, ErrUnknownStream) {
		t.Fatalf("Write: %v", err)
	}
	if err := x.s.CloseWrite(x.now, 9); !errors.Is(err, ErrUnknownStream) {
		t.Fatalf("CloseWrite: %v", err)
	}
	x.s.Accept(x.now, 9)
	x.s.Reset(x.now, 9, 0)
	x.s.CloseRead(x.now, 9, 0)
	x.s.Consumed(x.now, 9, 1)
	if n := x.s.CancelWrite(9); n != 0 {
		t.Fatalf("CancelWrite: %d", n)
	}
	x.want("nothing goes out")
	x.see("nothing happens")
}

func TestInputBeforeDrainingIsRefused(t *testing.T) {
	s := New(Config{}, Server, start)
	b := Header{Type: TypeWindowUpdate, Flags: FlagSYN, ID: 1}.Append(nil)
	if err := s.HandleBytes(start, b); err != nil {
		t.Fatal(err)
	}
	if err := s.HandleBytes(start, b); !errors.Is(err, ErrNotDrained) {
		t.Fatalf("second input: %v", err)
	}
}

func TestStreamIDsRunOut(t *testing.T) {
	s := New(Config{}, Server, start)
	s.nextID = 0xFFFFFFFC
	if id, err := s.OpenStream(start); err != nil || id != 0xFFFFFFFC {
		t.Fatalf("%d, %v", id, err)
	}
	if _, err := s.OpenStream(start); !errors.Is(err, ErrStreamsExhausted) {
		t.Fatalf("past the last ID: %v", err)
	}
}

func TestErrorsSayWhoIsGuilty(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{ErrWindowExceeded, "yamux: remote: data beyond the window we granted"},
		{ErrOpenBacklog, "yamux: limit: too many opened streams that the remote has not acknowledged"},
		{ErrUnknownStream, "yamux: local: no such stream, or it has ended"},
		{&Error{What: "odd"}, "yamux: unknown: odd"},
		{&GoAwayError{Code: 0x1006}, "yamux: local: session is going away, code 0x1006"},
		{&ClosedError{}, "yamux: remote: connection ended"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestALazyOpenIsAnnouncedByItsFirstFrame(t *testing.T) {
	x := newScript(t, Config{OpenBacklog: 100}, Client)
	open := func() uint32 {
		id, err := x.s.OpenLazily(x.now)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	first, second, third := open(), open(), open()
	x.want("nothing is said of them")
	if err := x.s.Write(x.now, second, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	x.want("data", "data SYN 3 5")
	if err := x.s.CloseWrite(x.now, first); err != nil {
		t.Fatal(err)
	}
	x.want("an end", "window SYN FIN 1 0")
	x.s.Reset(x.now, third, 7)
	x.want("one that the remote never heard of")
	for range maxHeldSYNs {
		open()
	}
	x.want("as many as may wait")
	open()
	x.want("one more", "window SYN 39 0")
	if err := x.s.Write(x.now, 9, []byte("x")); err != nil {
		t.Fatal(err)
	}
	x.want("makes room", "data SYN 9 1")
	open()
	x.want("for another")
	wide := newScript(t, Config{InitialWindow: 1 << 20}, Client)
	if _, err := wide.s.OpenLazily(wide.now); err != nil {
		t.Fatal(err)
	}
	wide.want("a wider first window is told at once", "window SYN 1 786432")
}

func TestACancelledBodyThatWasInLineLeavesItsSYNBehind(t *testing.T) {
	x := newScript(t, Config{}, Client)
	var ids [2]uint32
	for i := range ids {
		ids[i], _ = x.s.OpenStream(x.now)
		if err := x.s.Write(x.now, ids[i], []byte("hello")); err != nil {
			t.Fatal(err)
		}
	}
	hdr, _, _ := x.s.NextWrite() // the first body; both SYNs were left to ride
	if h, _ := ParseHeader(hdr); show(h) != "data SYN 1 5" {
		t.Fatal(show(h))
	}
	x.s.CancelWrite(ids[1])
	x.want("the second stream is announced all the same", "window SYN 3 0")
}

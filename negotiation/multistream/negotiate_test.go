package multistream

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// side is what Dialer and Listener have in common.
type side interface {
	HandleBytes(p []byte) (int, error)
	AppendOutput(dst []byte) []byte
	Done() (string, bool)
}

// pair carries bytes between two sides in pieces until both are quiet.
type pair struct {
	a, b side
	size int
	errA error
	errB error
	toA  []byte // bytes behind the negotiation, as a received them
	toB  []byte
}

func (p *pair) run() {
	wire := func(from, to side, toErr *error, rest *[]byte) bool {
		out := from.AppendOutput(nil)
		moved := len(out) > 0
		for len(out) > 0 {
			k := min(p.size, len(out))
			piece := out[:k]
			out = out[k:]
			n, err := to.HandleBytes(piece)
			if err != nil {
				*toErr = err
				return moved
			}
			*rest = append(*rest, piece[n:]...)
		}
		return moved
	}
	for {
		ab := wire(p.a, p.b, &p.errB, &p.toB)
		ba := wire(p.b, p.a, &p.errA, &p.toA)
		if !ab && !ba {
			return
		}
	}
}

func TestDialerAndListenerAgreeForEverySplit(t *testing.T) {
	for _, c := range []struct {
		dial, listen []string
		want         string
	}{
		{[]string{"/a"}, []string{"/a"}, "/a"},
		{[]string{"/a", "/b", "/c"}, []string{"/c", "/b"}, "/b"},
		{[]string{"/a", "/b", "/c"}, []string{"/c"}, "/c"},
		{[]string{"/x/" + strings.Repeat("y", 1000)}, []string{"/x/" + strings.Repeat("y", 1000)}, "/x/" + strings.Repeat("y", 1000)},
		{[]string{"/a", "/b"}, []string{"/c"}, ""},
		{[]string{"/a"}, nil, ""},
	} {
		for _, size := range []int{1, 2, 3, 7, 19, 20, 21, 1 << 10} {
			d, err := NewDialer(c.dial...)
			if err != nil {
				t.Fatal(err)
			}
			l := NewListener(OneOf(c.listen...))
			p := &pair{a: d, b: l, size: size}
			p.run()
			if c.want == "" {
				var ns *NotSupportedError
				if !errors.As(p.errA, &ns) || !errors.Is(p.errA, ErrNotSupported) || len(ns.Protocols) != len(c.dial) {
					t.Errorf("%v to %v: dialer says %v", c.dial, c.listen, p.errA)
				}
				if _, ok := l.Done(); ok || p.errB != nil {
					t.Errorf("%v to %v: listener is done (%v) or failed: %v", c.dial, c.listen, ok, p.errB)
				}
				continue
			}
			gotD, okD := d.Done()
			gotL, okL := l.Done()
			if !okD || !okL || gotD != c.want || gotL != c.want || p.errA != nil || p.errB != nil {
				t.Errorf("%v to %v in pieces of %d: dialer %q %v, listener %q %v", c.dial, c.listen, size, gotD, p.errA, gotL, p.errB)
			}
			if !d.Greeted() || !l.Greeted() {
				t.Errorf("%v to %v: a side has seen no header", c.dial, c.listen)
			}
		}
	}
}

func TestFirstFlightIsHeaderAndProposal(t *testing.T) {
	d, _ := NewDialer("/noise", "/tls/1.0.0")
	want := "\x13/multistream/1.0.0\n\x07/noise\n"
	if got := string(d.AppendOutput(nil)); got != want {
		t.Fatalf("first flight %q, want %q", got, want)
	}
	if got := d.AppendOutput(nil); len(got) != 0 {
		t.Fatalf("the first flight came twice: %q", got)
	}
}

func TestOnlyProposalMayBeFollowedByDataAtOnce(t *testing.T) {
	one, _ := NewDialer("/a")
	if p, ok := one.Ready(); !ok || p != "/a" {
		t.Errorf("a single proposal: Ready %q %v", p, ok)
	}
	if _, ok := one.Done(); ok {
		t.Error("a single proposal counts as agreed before the answer")
	}
	two, _ := NewDialer("/a", "/b")
	if _, ok := two.Ready(); ok {
		t.Error("with two proposals the remote may take either, and data may be sent")
	}

	l := NewListener(OneOf("/a"))
	wire := append(one.AppendOutput(nil), "early data"...)
	n, err := l.HandleBytes(wire)
	if err != nil || string(wire[n:]) != "early data" {
		t.Fatalf("listener left %q: %v", wire[n:], err)
	}
	answer := append(l.AppendOutput(nil), "reply"...)
	n, err = one.HandleBytes(answer)
	if err != nil || string(answer[n:]) != "reply" {
		t.Fatalf("dialer left %q: %v", answer[n:], err)
	}
	if p, ok := one.Done(); !ok || p != "/a" {
		t.Fatalf("dialer: %q %v", p, ok)
	}
}

func TestRefusedOnlyProposalIsNoLongerReady(t *testing.T) {
	d, _ := NewDialer("/a")
	d.AppendOutput(nil)
	_, err := d.HandleBytes([]byte("\x13/multistream/1.0.0\n\x03na\n"))
	if !errors.Is(err, ErrNotSupported) {
		t.Fatalf("error %v", err)
	}
	if p, ok := d.Ready(); ok {
		t.Errorf("refused %q may still be followed by data", p)
	}
	if _, again := d.HandleBytes([]byte("\x03/a\n")); !errors.Is(again, ErrNotSupported) {
		t.Errorf("the failure is not sticky: %v", again)
	}
	if out := d.AppendOutput(nil); len(out) != 0 {
		t.Errorf("a failed dialer sends %q", out)
	}
}

// The listeners of go-libp2p greet first; those of js-libp2p and rust-libp2p answer the header.
func TestDialerTakesTheHeaderBeforeOrAfterItsOwn(t *testing.T) {
	before, _ := NewDialer("/a")
	if _, err := before.HandleBytes([]byte("\x13/multistream/1.0.0\n")); err != nil {
		t.Fatalf("header before our own: %v", err)
	}
	before.AppendOutput(nil)
	if _, err := before.HandleBytes([]byte("\x03/a\n")); err != nil {
		t.Fatalf("answer: %v", err)
	}
	if _, ok := before.Done(); !ok {
		t.Fatal("not agreed")
	}
}

// rust-libp2p and go-libp2p send header and proposal in one write; js-libp2p has sent the header
// and waited for ours.
func TestListenerAnswersAHeaderThatComesAlone(t *testing.T) {
	l := NewListener(OneOf("/a"))
	if out := l.AppendOutput(nil); len(out) != 0 {
		t.Fatalf("a silent connection is answered with %q", out)
	}
	if _, err := l.HandleBytes([]byte("\x13/multistream/1.0.0\n")); err != nil {
		t.Fatal(err)
	}
	if got := string(l.AppendOutput(nil)); got != "\x13/multistream/1.0.0\n" {
		t.Fatalf("header is answered with %q", got)
	}
	if _, err := l.HandleBytes([]byte("\x03/b\n\x03ls\n\x03/a\n")); err != nil {
		t.Fatal(err)
	}
	if got := string(l.AppendOutput(nil)); got != "\x03na\n\x03na\n\x03/a\n" {
		t.Fatalf("answers %q", got)
	}
}

func TestWrongFirstMessageEndsIt(t *testing.T) {
	for _, first := range []string{"/noise", "na", "ls", "/multistream/2.0.0", "GET / HTTP/1.1\r"} {
		wire := appendMessage(nil, first)
		d, _ := NewDialer("/noise")
		d.AppendOutput(nil)
		if _, err := d.HandleBytes(wire); !errors.Is(err, ErrProtocol) {
			t.Errorf("dialer on %q: %v", first, err)
		}
		l := NewListener(OneOf("/noise"))
		if _, err := l.HandleBytes(wire); !errors.Is(err, ErrProtocol) {
			t.Errorf("listener on %q: %v", first, err)
		}
		if out := l.AppendOutput(nil); len(out) != 0 {
			t.Errorf("listener answers %q to %q", out, first)
		}
	}
}

// A remote that speaks something else is told from its first bytes: the message that they would
// announce may never come.
func TestWhatIsNoMultistreamIsRefusedAtItsFirstByte(t *testing.T) {
	for _, c := range []struct{ raw, names string }{
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP"},
		{"POST /x HTTP/1.1\r\n", "HTTP"},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/2"},
		{"HTTP/1.1 400 Bad Request\r\n", "HTTP (a response)"},
		{"SSH-2.0-OpenSSH_9.6\r\n", "SSH"},
		{"\x16\x03\x01\x02\x00\x01\x00", "TLS (a hello"},
		{"\x15\x03\x01\x00\x02\x02\x28", "TLS (an alert"},
		{"\x14/multistream/1.0.10\n", "another version"},
		{"\x00\x00\x00\x00", `"\x00\x00\x00\x00"`},
		{"\x93\x00/multistream/1.0.0\n", `"\x93\x00/multistream/1.0.0\n"`},
		{"\xff\xff\xff", `"\xff\xff\xff"`},
		{"G", `"G"`},
		{"\x05" + strings.Repeat("\x1b[2J", 100), `"\x05\x1b[2J`},
	} {
		for _, size := range []int{1, len(c.raw)} {
			d, _ := NewDialer("/noise")
			d.AppendOutput(nil)
			for role, s := range map[string]side{"dialer": d, "listener": NewListener(OneOf("/noise"))} {
				n, err := s.HandleBytes([]byte(c.raw[:size]))
				if !errors.Is(err, ErrProtocol) || n != 0 {
					t.Errorf("%s on %.20q, %d bytes of it: used %d, %v", role, c.raw, size, n, err)
					continue
				}
				if size > 1 && !strings.Contains(err.Error(), c.names) {
					t.Errorf("%s on %.20q: %q does not say %s", role, c.raw, err, c.names)
				}
				if msg := err.Error(); len(msg) > 400 || strings.ContainsAny(msg, "\x1b\r\n\x00") {
					t.Errorf("%s on %.20q: %q", role, c.raw, msg)
				}
				if out := s.AppendOutput(nil); len(out) != 0 {
					t.Errorf("%s answers %q", role, out)
				}
			}
		}
	}
}

func TestDialerRefusesAnswersThatFitNoProposal(t *testing.T) {
	const header = "\x13/multistream/1.0.0\n"
	for _, c := range []struct{ name, wire string }{
		{"another protocol", header + "\x03/b\n"},
		{"header again", header + header},
		{"two answers to one proposal", header + "\x03na\n\x03/c\n"},
	} {
		d, _ := NewDialer("/a", "/c")
		d.AppendOutput(nil)
		if _, err := d.HandleBytes([]byte(c.wire)); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v", c.name, err)
		}
		if _, ok := d.Done(); ok {
			t.Errorf("%s: agreed", c.name)
		}
	}
}

// A dialer that sends data at once behind a protocol that we do not know.
func TestRefusalIsSentThoughTheDataBehindItBreaksTheRules(t *testing.T) {
	l := NewListener(OneOf("/a"))
	if _, err := l.HandleBytes([]byte("\x13/multistream/1.0.0\n\x03/b\n\x00\x20data")); !errors.Is(err, ErrProtocol) {
		t.Fatalf("error %v", err)
	}
	if got := string(l.AppendOutput(nil)); got != "\x13/multistream/1.0.0\n\x03na\n" {
		t.Fatalf("answers %q", got)
	}
}

func TestEndlessProposalsEndWithinTheCap(t *testing.T) {
	l := NewListener(OneOf("/a"))
	if _, err := l.HandleBytes(appendMessage(nil, ID)); err != nil {
		t.Fatal(err)
	}
	for i := 1; ; i++ {
		_, err := l.HandleBytes(appendMessage(nil, fmt.Sprintf("/x/%d", i)))
		if err != nil {
			if !errors.Is(err, ErrTooManyProposals) || i != MaxProposals {
				t.Fatalf("proposal %d: %v", i, err)
			}
			break
		}
		if l.unsent.refusals > MaxProposals {
			t.Fatalf("%d refusals are queued", l.unsent.refusals)
		}
	}
}

func TestTruncatedNegotiationIsNeverAgreed(t *testing.T) {
	d, _ := NewDialer("/a", "/bb")
	fromDialer := d.AppendOutput(nil)
	l := NewListener(OneOf("/a"))
	if _, err := l.HandleBytes(fromDialer); err != nil {
		t.Fatal(err)
	}
	fromListener := l.AppendOutput(nil)
	for cut := range fromDialer {
		l := NewListener(OneOf("/a"))
		if n, err := l.HandleBytes(fromDialer[:cut]); err != nil || n != cut {
			t.Fatalf("listener, cut at %d: used %d, %v", cut, n, err)
		}
		if _, ok := l.Done(); ok {
			t.Fatalf("listener agreed after %d bytes of %d", cut, len(fromDialer))
		}
	}
	for cut := range fromListener {
		d, _ := NewDialer("/a", "/bb")
		d.AppendOutput(nil)
		if n, err := d.HandleBytes(fromListener[:cut]); err != nil || n != cut {
			t.Fatalf("dialer, cut at %d: used %d, %v", cut, n, err)
		}
		if _, ok := d.Done(); ok {
			t.Fatalf("dialer agreed after %d bytes of %d", cut, len(fromListener))
		}
	}
}

func TestNamesThatCannotBeProposedAreALocalError(t *testing.T) {
	for _, name := range []string{"", "na", ID, "/a\n/b", strings.Repeat("x", MaxMessage)} {
		if _, err := NewDialer("/ok", name); !errors.Is(err, ErrName) {
			t.Errorf("%.20q: %v", name, err)
		}
	}
	if _, err := NewDialer(); !errors.Is(err, ErrName) {
		t.Error("a dialer with nothing to propose was made")
	}
	var zero Dialer
	if _, err := zero.HandleBytes(nil); err != nil {
		t.Errorf("zero dialer without bytes: %v", err)
	}
	if err := CheckName(strings.Repeat("x", MaxMessage-1)); err != nil {
		t.Errorf("the longest name: %v", err)
	}
}

func TestResetStartsOver(t *testing.T) {
	d, _ := NewDialer("/a")
	l := NewListener(OneOf("/a"))
	for range 3 {
		p := &pair{a: d, b: l, size: 1}
		p.run()
		if _, ok := d.Done(); !ok {
			t.Fatalf("dialer: %v", p.errA)
		}
		if _, ok := l.Done(); !ok {
			t.Fatalf("listener: %v", p.errB)
		}
		if err := d.Reset("/b", "/a"); err != nil {
			t.Fatal(err)
		}
		l.Reset(Matching(func(p string) bool { return strings.HasPrefix(p, "/a") }))
		if l.Greeted() || d.Greeted() {
			t.Fatal("a header from before the reset is remembered")
		}
	}
}

func TestNegotiationOfWholeMessagesDoesNotAllocate(t *testing.T) {
	protocols := []string{"/x", "/a"}
	lookup := OneOf("/a")
	var d Dialer
	var l Listener
	buf, back := make([]byte, 0, 256), make([]byte, 0, 256)
	n := testing.AllocsPerRun(100, func() {
		if d.Reset(protocols...) != nil {
			t.Fatal("reset")
		}
		l.Reset(lookup)
		for range 2 {
			buf = d.AppendOutput(buf[:0])
			if _, err := l.HandleBytes(buf); err != nil {
				t.Fatal(err)
			}
			back = l.AppendOutput(back[:0])
			if _, err := d.HandleBytes(back); err != nil {
				t.Fatal(err)
			}
		}
		if _, ok := d.Done(); !ok {
			t.Fatal("not agreed")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzDialer(f *testing.F) {
	f.Add([]byte("\x13/multistream/1.0.0\n\x03na\n\x03/b\nrest"), uint8(1))
	f.Add([]byte("\x13/multistream/1.0.0\n\x03/a\n"), uint8(200))
	f.Fuzz(func(t *testing.T, wire []byte, size uint8) {
		d, _ := NewDialer("/a", "/b", "/c")
		drive(t, d, wire, int(size)+1)
	})
}

func FuzzListener(f *testing.F) {
	f.Add([]byte("\x13/multistream/1.0.0\n\x03/x\n\x03/b\nrest"), uint8(1))
	f.Add([]byte("\x13/multistream/1.0.0\n\x03ls\n"), uint8(200))
	f.Fuzz(func(t *testing.T, wire []byte, size uint8) {
		drive(t, NewListener(OneOf("/a", "/b")), wire, int(size)+1)
	})
}

// drive feeds hostile bytes: the side may fail, but uses up no more than it was given, says nothing
// after a failure, and answers with less than it was sent plus its greeting.
func drive(t *testing.T, s side, wire []byte, size int) {
	sent := len(s.AppendOutput(nil))
	for total := 0; total < len(wire); {
		p := wire[total:min(total+size, len(wire))]
		n, err := s.HandleBytes(p)
		if n < 0 || n > len(p) {
			t.Fatalf("used %d of %d bytes", n, len(p))
		}
		out := s.AppendOutput(nil)
		sent += len(out)
		if err != nil {
			out = bytes.TrimPrefix(out, []byte("\x13/multistream/1.0.0\n"))
			if refusals := bytes.Count(out, []byte("\x03na\n")); len(out) != 4*refusals {
				t.Fatalf("sends %q after %v", out, err)
			}
			return
		}
		if _, ok := s.Done(); ok {
			return
		}
		if n < len(p) {
			t.Fatalf("%d of %d bytes were left without being done", len(p)-n, len(p))
		}
		total += n
	}
	if most := 64 + 2*len(wire); sent > most {
		t.Fatalf("%d bytes were answered with %d", len(wire), sent)
	}
}

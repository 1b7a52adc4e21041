package script

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	pb "github.com/troupe-p2p/troupe/messages/wire/identify"
	"github.com/troupe-p2p/troupe/mux/yamux"

	"google.golang.org/protobuf/proto"
)

// both is what can be sent and wanted.
type both interface {
	Item
	Match(in []byte) (int, error)
}

var all = []both{
	Bytes("some bytes\x00\xff"),
	Header,
	Protocol("na"),
	Protocol(strings.Repeat("long", 500)),
	Data(1, yamux.FlagSYN, "hello"),
	Data(3, 0, ""),
	Window(2, yamux.FlagACK|yamux.FlagFIN, 1<<31),
	Window(2, yamux.FlagRST, 0x1001),
	Ping(yamux.FlagSYN, 7),
	GoAway(1),
	Delimited(&pb.Identify{AgentVersion: proto.String("x"), Protocols: []string{"/a", "/b"}}),
	Delimited(&pb.Identify{}),
}

func TestWhatIsSentIsWhatIsWanted(t *testing.T) {
	for _, x := range all {
		b := x.Append(nil)
		if n, err := x.Match(append(b, "and more"...)); n != len(b) || err != nil {
			t.Errorf("%s: %d of %d bytes, %v", x, n, len(b), err)
		}
		for n := range b {
			if _, err := x.Match(b[:n]); !errors.Is(err, ErrMore) {
				t.Errorf("%s, %d of %d bytes: %v", x, n, len(b), err)
			}
		}
		if x.String() == "" {
			t.Errorf("%T has no words for itself", x)
		}
	}
}

func TestWhatIsSomethingElseIsSaidToBe(t *testing.T) {
	for _, c := range []struct {
		want Matcher
		in   Item
		text string
	}{
		{Bytes("abc"), Bytes("abx"), "byte 2 is 0x78 and not 0x63"},
		{Header, Protocol("/noise"), `it is multistream "/noise"`},
		{Header, Bytes("\x03abc"), "no newline"},
		{Header, Bytes("\x00"), "no message begins with"},
		{Header, Claim(1 << 60), "no message begins with"},
		{GoAway(1), GoAway(2), "it is goaway 0x2"},
		{Data(1, 0, "a"), Data(1, 0, "b"), `it is data stream 1 0x1 "b"`},
		{GoAway(1), Bytes(strings.Repeat("\x07", 12)), "version"},
		{Later(GoAway(1)), Bytes(strings.Repeat("\x07", 12)), "version"},
		{Data(1, 0, "a"), Frame{Type: yamux.TypeData, ID: 1, Length: 1 << 30}, "too long to wait for"},
		{Delimited(&pb.Identify{}), Delimited(&pb.Identify{AgentVersion: proto.String("x")}), `agentVersion:"x"`},
		{Delimited(&pb.Identify{}), Protocol("/noise"), "no troupe.wire.identify.Identify"},
		{MessageLike("nobody", func(*pb.Identify) error { return errors.New("it is somebody") }), Delimited(&pb.Identify{}), "it is somebody"},
	} {
		_, err := c.want.Match(c.in.Append(nil))
		if err == nil || errors.Is(err, ErrMore) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s for %s: %v", c.in, c.want, err)
		}
	}
}

func TestLaterPassesOverOtherFrames(t *testing.T) {
	b := GoAway(1).Append(Data(1, 0, "some body").Append(Ping(yamux.FlagSYN, 1).Append(nil)))
	if n, err := Later(GoAway(1)).Match(b); n != len(b) || err != nil {
		t.Errorf("%d of %d bytes, %v", n, len(b), err)
	}
	for n := range b {
		if _, err := Later(GoAway(1)).Match(b[:n]); !errors.Is(err, ErrMore) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestSpoiledItems(t *testing.T) {
	if b := Truncated(Header, 3).Append(nil); string(b) != "\x13/m" {
		t.Errorf("%q", b)
	}
	if b := Truncated(Header, 100).Append(nil); string(b) != string(Header.Append(nil)) {
		t.Errorf("%q", b)
	}
	if a, b := Garbage(1, 50).Append(nil), Garbage(1, 50).Append(nil); string(a) != string(b) || len(a) != 50 {
		t.Error("the same seed, other garbage")
	}
	if a, b := Garbage(1, 50).Append(nil), Garbage(2, 50).Append(nil); string(a) == string(b) {
		t.Error("another seed, the same garbage")
	}
	if b := Record("abc").Append(nil); string(b) != "\x00\x03abc" {
		t.Errorf("%q", b)
	}
	if b := Claim(300).Append(nil); string(b) != "\xac\x02" {
		t.Errorf("%q", b)
	}
}

// FuzzMatchers: whatever a remote sends, a matcher says yes, no or more, and has words for it.
func FuzzMatchers(f *testing.F) {
	for _, x := range all {
		f.Add(x.Append(nil))
	}
	f.Add([]byte(strings.Repeat("\xff", 20)))
	f.Fuzz(func(t *testing.T, in []byte) {
		matchers := []Matcher{Any(3), AnyMessage, AnyRecord, Later(GoAway(1)),
			FrameLike("any frame", func(Frame) bool { return true }),
			MessageLike("any message", func(*pb.Identify) error { return nil })}
		for _, x := range all {
			matchers = append(matchers, x)
		}
		for _, m := range matchers {
			n, err := m.Match(in)
			if err == nil && (n <= 0 || n > len(in)) {
				t.Fatalf("%s: took %d of %d bytes", m, n, len(in))
			}
			if s, ok := m.(Shower); ok && len(in) > 0 && s.Show(in) == "" {
				t.Fatalf("%s has no words for % x", m, in)
			}
			_ = fmt.Sprint(m)
		}
	})
}

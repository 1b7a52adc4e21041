package webrtc

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	pb "github.com/troupe-p2p/troupe/messages/wire/webrtc"

	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"
)

var frames = []frame{
	{},
	{data: []byte("bytes")},
	{flag: flagFin},
	{flag: flagFin, data: []byte("the last ones")},
	{flag: flagStopSending, code: 7},
	{flag: flagReset},
	{flag: flagReset, code: 1<<32 - 1},
	{flag: flagFinAck},
	{window: 1 << 40},
	{flag: flagReset, code: 1, window: 2, data: []byte{3}},
	{data: bytes.Repeat([]byte{0xee}, maxPayload)},
}

// message is f as the generated code has it.
func (f frame) message() *pb.Message {
	m := &pb.Message{}
	if f.flag != noFlag {
		m.Flag = pb.Message_Flag(f.flag - 1).Enum()
	}
	if len(f.data) > 0 {
		m.Message = f.data
	}
	if f.hasCode() {
		m.ErrorCode = proto.Uint32(f.code)
	}
	if f.window > 0 {
		m.Window = proto.Uint64(f.window)
	}
	return m
}

func TestFramesAreWhatProtobufMakesOfThem(t *testing.T) {
	for _, f := range frames {
		got := appendFrame(nil, f)
		var want bytes.Buffer
		if _, err := protodelim.MarshalTo(&want, f.message()); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%+v: %x, want %x", f, got, want.Bytes())
		}
		if len(got) > maxFrame || f.size()+2 < len(got) {
			t.Errorf("%+v takes %d bytes, thought to be %d", f, len(got), f.size())
		}
		back, size, err := nextFrame(append(got, "what follows"...))
		if err != nil || size != len(got) || !proto.Equal(back.message(), f.message()) {
			t.Errorf("%+v came back as %+v, %d bytes, %v", f, back, size, err)
		}
	}
}

// Bytes written out by hand, from the numbers in the specification.
func TestFramesOfTheSpecification(t *testing.T) {
	for text, want := range map[string]frame{
		"020800":                   {flag: flagFin},
		"020803":                   {flag: flagFinAck},
		"0408021807":               {flag: flagReset, code: 7},
		"03120161":                 {data: []byte("a")},
		"0512016108" + "00":        {flag: flagFin, data: []byte("a")},
		"00":                       {},
		"020809":                   {},                      // a flag of the future
		"06080008011200":           {flag: flagStopSending}, // the last one counts
		"04a2060161":               {},                      // a field of somebody else: number 100, bytes
		"0b18ffffffffffffffffff01": {code: 1<<32 - 1},       // more than a code can be
	} {
		p, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		f, size, err := nextFrame(p)
		if err != nil || size != len(p) || f.flag != want.flag || f.code != want.code || !bytes.Equal(f.data, want.data) {
			t.Errorf("%s: %+v, %d bytes, %v; want %+v", text, f, size, err, want)
		}
	}
}

func TestFramesThatAreCutShortAreWaitedFor(t *testing.T) {
	for _, f := range frames {
		whole := appendFrame(nil, f)
		for n := range whole {
			if n > 20 && n < len(whole)-20 {
				continue
			}
			if got, size, err := nextFrame(whole[:n]); size != 0 || err != nil {
				t.Errorf("%d of %d bytes: %+v, %d bytes taken, %v", n, len(whole), got, size, err)
			}
		}
	}
}

func TestFramesThatAreNoneAreRefused(t *testing.T) {
	for text, want := range map[string]error{
		"808001":                   errFrameSize, // 16,384 bytes, and their length
		"ff7f":                     nil,          // 16,383: waits
		"ffffffff":                 errFrameVarint,
		"ffffffffff7f":             errFrameVarint,
		"0108":                     errFrame, // a flag without value
		"021205":                   errFrame, // five bytes that are not there
		"0107":                     errFrame, // no such type
		"0100":                     errFrame, // field 0
		"0b0880808080808080808080": errFrame, // a varint without end
	} {
		p, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		_, size, err := nextFrame(p)
		if text == "ff7f" { // with its two bytes it is one too many
			want = errFrameSize
		}
		if !errors.Is(err, want) || size != 0 && err == nil {
			t.Errorf("%s: %d bytes, %v; want %v", text, size, err, want)
		}
	}
}

func FuzzFrame(f *testing.F) {
	for _, x := range frames {
		f.Add(appendFrame(nil, x))
	}
	f.Add([]byte{0xff, 0xff, 0xff})
	f.Add([]byte{2, 8, 48}) // a flag that there is not
	f.Fuzz(func(t *testing.T, p []byte) {
		got, size, err := nextFrame(p)
		if err != nil {
			return
		}
		if size > len(p) || size > maxFrame || size == 0 && len(p) >= maxFrame+3 {
			t.Fatalf("%d of %d bytes", size, len(p))
		}
		if size == 0 {
			return
		}
		var want pb.Message
		lead := 1
		if size > 128 || p[0] >= 0x80 {
			for lead = 1; p[lead-1] >= 0x80; lead++ {
			}
		}
		if err := proto.Unmarshal(p[lead:size], &want); err != nil {
			return // it checks what it skips more closely
		}
		if f := want.GetFlag(); f < pb.Message_FIN || f > pb.Message_FIN_ACK { // which protobuf in Go keeps, other than elsewhere
			want.Flag = nil
		}
		if (want.Flag != nil) != (got.flag != noFlag) || want.Flag != nil && *want.Flag != pb.Message_Flag(got.flag-1) ||
			!bytes.Equal(want.GetMessage(), got.data) || want.GetWindow() != got.window {
			t.Fatalf("%x is %+v, and %v to protobuf", p[:size], got, &want)
		}
		again, _, err := nextFrame(appendFrame(nil, got))
		if err != nil && len(got.data) <= maxPayload-40 || err == nil && !proto.Equal(again.message(), got.message()) {
			t.Fatalf("%+v came back as %+v, %v", got, again, err)
		}
	})
}

func FuzzOpen(f *testing.F) {
	f.Add(openMessage())
	f.Add([]byte{dcepOpen, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 'a', 'b', 'c'})
	f.Fuzz(func(t *testing.T, p []byte) {
		if isOpen(p) && (len(p) < dcepOpenSize || p[0] != dcepOpen || p[1] != channelReliable) {
			t.Fatalf("%x", p)
		}
	})
}

package message

import (
	"fmt"
	"strings"
	"testing"
	"time"

	wire "github.com/troupe-p2p/troupe/messages/wire/identify"

	ma "github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// parts splits a stream.
func parts(t *testing.T, stream []byte) (all []*wire.Identify) {
	t.Helper()
	for len(stream) > 0 {
		b, n := protowire.ConsumeBytes(stream)
		if n < 0 {
			t.Fatal("the stream is cut")
		}
		m := new(wire.Identify)
		if err := proto.Unmarshal(b, m); err != nil {
			t.Fatal(err)
		}
		all, stream = append(all, m), stream[n:]
	}
	return all
}

func large(t *testing.T, n node, protocols, addrs, certified int) Info {
	info := n.info(t)
	info.Protocols, info.ListenAddrs = nil, nil
	for i := range protocols {
		info.Protocols = append(info.Protocols, fmt.Sprintf("/an/application/protocol/%04d", i))
	}
	for i := range addrs {
		info.ListenAddrs = append(info.ListenAddrs, addr(t, fmt.Sprintf("/ip4/192.0.2.1/udp/%d/quic-v1", 1+i)))
	}
	var rec []string
	for i := range certified {
		rec = append(rec, fmt.Sprintf("/ip4/192.0.2.1/udp/%d/quic-v1", 1+i))
	}
	info.Record = n.record(t, 7, rec...)
	return info
}

func TestLargeMessagesAreSplitSoThatAllCanReadThem(t *testing.T) {
	n := newNode(t, 1)
	for _, c := range []struct{ protocols, addrs, certified, parts int }{
		{3, 3, 3, 1}, {110, 20, 20, 2}, {10, 400, 200, 3}, {800, 100, 10, 7},
	} {
		info := large(t, n, c.protocols, c.addrs, c.certified)
		stream, left := Encode(nil, info)
		all := parts(t, stream)
		if left != 0 || len(all) != c.parts {
			t.Fatalf("%+v: %d parts, %d values left out", c, len(all), left)
		}
		for i, m := range all {
			// rust-libp2p takes 4096 bytes; go-libp2p 8 KiB, and only the record is so large.
			if size := proto.Size(m); size > ownPart && m.SignedPeerRecord == nil || size > maxMessage {
				t.Fatalf("%+v: part %d has %d bytes", c, i, size)
			}
		}
		first := all[0]
		if first.PublicKey == nil || first.AgentVersion == nil || first.ObservedAddr == nil ||
			len(first.Protocols) < min(c.protocols, 50) || len(first.ListenAddrs) < min(c.addrs, 50) {
			t.Fatalf("%+v: who reads one part sees %d protocols and %d addresses", c, len(first.Protocols), len(first.ListenAddrs))
		}
		got, err := read(n.id, stream, 1000)
		if err != nil || len(got.Protocols) != c.protocols || len(got.ListenAddrs) != c.addrs || len(got.Certified.Addrs) != c.certified {
			t.Fatalf("%+v: read %d protocols, %d addresses, %v", c, len(got.Protocols), len(got.ListenAddrs), err)
		}
	}
}

func TestWhatHasNoPlaceIsCountedAndTheRestIsSent(t *testing.T) {
	n := newNode(t, 1)
	info := large(t, n, 4000, 0, 1)
	info.Record = make([]byte, maxMessage)
	info.AgentVersion = strings.Repeat("x", 10_000)
	info.Protocols = append(info.Protocols, "", "\xff", strings.Repeat("x", maxProtocolName+1))
	stream, left := Encode(nil, info)
	all := parts(t, stream)
	if len(all) != ownParts {
		t.Fatalf("%d parts, want %d: go-libp2p reads ten times, once for the end", len(all), ownParts)
	}
	sent := 0
	for _, m := range all {
		sent += len(m.Protocols)
		if m.SignedPeerRecord != nil {
			t.Fatal("a record that nobody can read was sent")
		}
	}
	if sent < 1000 || sent+left != len(info.Protocols)+1 {
		t.Fatalf("%d sent, %d left, %d wanted", sent, left, len(info.Protocols)+1)
	}
	if len(all[0].GetAgentVersion()) != maxVersion {
		t.Fatalf("agent of %d bytes", len(all[0].GetAgentVersion()))
	}
}

func TestAnEmptyInfoIsAMessage(t *testing.T) {
	stream, left := Encode(nil, Info{})
	if len(stream) != 1 || left != 0 {
		t.Fatalf("%x, %d left", stream, left)
	}
	if _, err := read("", stream, 1); err != nil {
		t.Fatal(err)
	}
}

func TestEncodeAppends(t *testing.T) {
	stream, _ := Encode([]byte("before"), Info{AgentVersion: "a"})
	if !strings.HasPrefix(string(stream), "before") || len(stream) != len("before")+4 {
		t.Fatalf("%q", stream)
	}
}

func TestDiff(t *testing.T) {
	n := newNode(t, 1)
	base := n.info(t)
	for _, c := range []struct {
		name   string
		change func(*Info)
		want   string
	}{
		{"nothing", func(*Info) {}, "[] [] false false"},
		{"the order of things", func(i *Info) {
			i.Protocols = []string{i.Protocols[2], i.Protocols[1], i.Protocols[0], i.Protocols[0]}
			i.ListenAddrs = []ma.Multiaddr{i.ListenAddrs[1], i.ListenAddrs[0]}
		}, "[] [] false false"},
		{"what is observed", func(i *Info) { i.Observed = nil }, "[] [] false false"},
		{"protocols", func(i *Info) { i.Protocols = []string{"/z", "/a", Protocol} }, "[/a /z] [/ipfs/id/push/1.0.0 /ipfs/ping/1.0.0] false false"},
		{"addresses", func(i *Info) { i.ListenAddrs = i.ListenAddrs[:1] }, "[] [] true false"},
		{"record", func(i *Info) { i.Record = n.record(t, 8) }, "[] [] true false"},
		{"agent", func(i *Info) { i.AgentVersion = "other" }, "[] [] false true"},
	} {
		after := base
		c.change(&after)
		d := Diff(base, after)
		if got := fmt.Sprint(d.Added, d.Removed, d.Addrs, d.Versions); got != c.want || d.Empty() != (c.want == "[] [] false false") {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestPushLeavesAloneWhatItDoesNotName(t *testing.T) {
	n := newNode(t, 1)
	known := n.info(t)
	stream, _ := Encode(nil, known)
	known, err := read(n.id, stream, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if got := Update(known, Info{}); !Diff(known, got).Empty() || got.PublicKey == nil || got.Observed == nil || got.Certified != known.Certified {
		t.Fatalf("an empty push changes %+v", Diff(known, got))
	}
	got := Update(known, Info{Protocols: []string{"/new"}, AgentVersion: "new"})
	if fmt.Sprint(got.Protocols) != "[/new]" || got.AgentVersion != "new" || got.ProtocolVersion != known.ProtocolVersion {
		t.Fatalf("%+v", got)
	}
	moved := []ma.Multiaddr{addr(t, "/ip4/192.0.2.99/tcp/1")}
	if got := Update(known, Info{ListenAddrs: moved}); fmt.Sprint(got.Addrs()) != fmt.Sprint(moved) {
		t.Fatalf("an old record hides the new addresses: %v", got.Addrs())
	}
	for seq, want := range map[uint64]string{6: "[/ip4/192.0.2.1/tcp/4001]", 8: "[/ip4/192.0.2.50/tcp/1]"} {
		stream, _ := Encode(nil, Info{Record: n.record(t, seq, "/ip4/192.0.2.50/tcp/1")})
		push, err := read(n.id, stream, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if got := Update(known, push); fmt.Sprint(got.Addrs()) != want {
			t.Fatalf("record %d after 7: %v, want %s", seq, got.Addrs(), want)
		}
	}
}

func TestPaceTakesAFewPushesAtOnceAndThenOneInFiveSeconds(t *testing.T) {
	var p Pace
	now, taken := epoch, 0
	for range 60_000 { // a push every millisecond for a minute
		if p.Allow(now) {
			taken++
		}
		now = now.Add(time.Millisecond)
	}
	if want := pushBurst + int(time.Minute/pushEvery) - 1; taken != want {
		t.Fatalf("%d pushes of a minute are read, want %d", taken, want)
	}
	for range pushBurst {
		if !p.Allow(now.Add(time.Hour)) {
			t.Fatal("the burst does not come back")
		}
	}
	if p.Allow(now.Add(time.Hour)) {
		t.Fatal("the burst is larger after a pause")
	}
}

func FuzzReader(f *testing.F) {
	n := newNode(f, 1)
	stream, _ := Encode(nil, n.info(f))
	f.Add(stream, uint16(100))
	f.Add([]byte{0, 0, 0, 3, 0x1a, 1, 'a'}, uint16(1))
	f.Add([]byte{0x80, 0x40}, uint16(1))
	f.Fuzz(func(t *testing.T, stream []byte, chunk uint16) {
		info, err := read(n.id, stream, int(chunk)+1)
		again, err2 := read(n.id, stream, 1<<20)
		if (err == nil) != (err2 == nil) || err == nil && !Diff(info, again).Empty() {
			t.Fatalf("chunks of %d: %v and %+v, else %v and %+v", chunk+1, err, info, err2, again)
		}
		if err != nil {
			return
		}
		if len(info.Protocols) > MaxProtocols || len(info.ListenAddrs) > MaxAddrs || len(info.AgentVersion) > maxVersion {
			t.Fatalf("over a cap: %d protocols, %d addresses, agent of %d bytes", len(info.Protocols), len(info.ListenAddrs), len(info.AgentVersion))
		}
		// What has been taken in can be told to others and is the same then.
		out, left := Encode(nil, info)
		back, err := read(n.id, out, 1<<20)
		if err != nil || left == 0 && !Diff(info, back).Empty() {
			t.Fatalf("%+v comes back as %+v, %v", info, back, err)
		}
		_ = fmt.Sprint(info.ListenAddrs, info.Observed)
	})
}

func BenchmarkRead(b *testing.B) {
	n := newNode(b, 1)
	stream, _ := Encode(nil, n.info(b))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := read(n.id, stream, 1<<20); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadOfEmptyNames(b *testing.B) {
	var stream []byte
	for range maxParts {
		stream = protowire.AppendBytes(stream, []byte(strings.Repeat("\x1a\x00", maxMessage/2)))
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := read("", stream, 1<<20); err != nil {
			b.Fatal(err)
		}
	}
}

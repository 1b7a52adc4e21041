package message

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/troupe-p2p/troupe/identity"
	wire "github.com/troupe-p2p/troupe/messages/wire/identify"

	ma "github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// counter is a predictable source of keys.
type counter byte

func (c *counter) Read(p []byte) (int, error) {
	for i := range p {
		*c++
		p[i] = byte(*c)
	}
	return len(p), nil
}

type node struct {
	key identity.PrivateKey
	id  identity.ID
}

func newNode(t testing.TB, seed byte) node {
	t.Helper()
	rand := counter(seed)
	k, err := identity.GenerateKey(identity.Ed25519, &rand)
	if err != nil {
		t.Fatal(err)
	}
	id, err := identity.IDFromKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	return node{k, id}
}

func addr(t testing.TB, s string) ma.Multiaddr {
	t.Helper()
	a, err := ma.NewMultiaddr(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (n node) record(t testing.TB, seq uint64, addrs ...string) []byte {
	t.Helper()
	r := identity.PeerRecord{ID: n.id, Seq: seq}
	for _, a := range addrs {
		r.Addrs = append(r.Addrs, addr(t, a))
	}
	b, err := r.Seal(n.key)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (n node) info(t testing.TB) Info {
	return Info{
		PublicKey:       n.key.Public(),
		ProtocolVersion: "ipfs/0.1.0",
		AgentVersion:    "troupe/0.1.0",
		Protocols:       []string{Protocol, PushProtocol, "/ipfs/ping/1.0.0"},
		ListenAddrs:     []ma.Multiaddr{addr(t, "/ip4/192.0.2.1/tcp/4001"), addr(t, "/ip6/2001:db8::1/udp/4001/quic-v1")},
		Observed:        addr(t, "/ip4/198.51.100.7/tcp/9000"),
		Record:          n.record(t, 7, "/ip4/192.0.2.1/tcp/4001"),
	}
}

// read plays a whole stream in chunks.
func read(peer identity.ID, stream []byte, chunk int) (Info, error) {
	r := NewReader(Config{Peer: peer}, epoch)
	for len(stream) > 0 {
		n := min(chunk, len(stream))
		if err := r.HandleBytes(epoch, stream[:n]); err != nil {
			return Info{}, err
		}
		stream = stream[n:]
	}
	return r.HandleEnd(epoch)
}

// part frames one protobuf message.
func part(m *wire.Identify) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return protowire.AppendBytes(nil, b)
}

func same(t *testing.T, got, want Info) {
	t.Helper()
	if !Diff(want, got).Empty() || fmt.Sprint(got.Protocols, got.ListenAddrs, got.Observed) != fmt.Sprint(want.Protocols, want.ListenAddrs, want.Observed) {
		t.Fatalf("got  %+v\nwant %+v", got, want)
	}
	if (got.PublicKey == nil) != (want.PublicKey == nil) || got.PublicKey != nil && !got.PublicKey.Equal(want.PublicKey) {
		t.Fatalf("key %v, want %v", got.PublicKey, want.PublicKey)
	}
}

func TestInfoSurvivesTheWireHoweverTheBytesAreCut(t *testing.T) {
	n := newNode(t, 1)
	want := n.info(t)
	stream, left := Encode(nil, want)
	if left != 0 {
		t.Fatalf("%d values had no place", left)
	}
	for chunk := 1; chunk <= len(stream); chunk++ {
		got, err := read(n.id, stream, chunk)
		if err != nil {
			t.Fatalf("chunks of %d: %v", chunk, err)
		}
		want.Certified = got.Certified
		same(t, got, want)
		if got.Dropped != 0 || got.Certified == nil || got.Certified.Seq != 7 || len(got.Addrs()) != 1 {
			t.Fatalf("chunks of %d: %+v", chunk, got)
		}
	}
}

func TestGeneratedCodeReadsOurMessage(t *testing.T) {
	n := newNode(t, 1)
	info := n.info(t)
	stream, _ := Encode(nil, info)
	body, size := protowire.ConsumeBytes(stream)
	if size != len(stream) {
		t.Fatalf("a small message has %d bytes behind its first part", len(stream)-size)
	}
	var m wire.Identify
	if err := proto.Unmarshal(body, &m); err != nil {
		t.Fatal(err)
	}
	if m.GetAgentVersion() != info.AgentVersion || m.GetProtocolVersion() != info.ProtocolVersion ||
		fmt.Sprint(m.GetProtocols()) != fmt.Sprint(info.Protocols) || len(m.GetListenAddrs()) != 2 ||
		!bytes.Equal(m.GetObservedAddr(), info.Observed.Bytes()) || !bytes.Equal(m.GetSignedPeerRecord(), info.Record) ||
		!bytes.Equal(m.GetPublicKey(), identity.MarshalPublicKey(info.PublicKey)) || len(m.ProtoReflect().GetUnknown()) != 0 {
		t.Fatalf("%v", &m)
	}
}

func TestMessageCutAtEveryByteIsTruncated(t *testing.T) {
	n := newNode(t, 1)
	stream, _ := Encode(nil, n.info(t))
	for cut := range stream {
		if _, err := read(n.id, stream[:cut], 1<<20); !errors.Is(err, ErrTruncated) {
			t.Fatalf("end after %d of %d bytes: %v", cut, len(stream), err)
		}
	}
}

func TestPartsAreMerged(t *testing.T) {
	n := newNode(t, 1)
	stream := bytes.Join([][]byte{
		part(&wire.Identify{AgentVersion: proto.String("first"), Protocols: []string{"/a"}}),
		part(&wire.Identify{}),
		part(&wire.Identify{AgentVersion: proto.String("last"), Protocols: []string{"/b", "/a"}}),
	}, nil)
	for _, chunk := range []int{1, 5, len(stream)} {
		got, err := read(n.id, stream, chunk)
		if err != nil || got.AgentVersion != "last" || fmt.Sprint(got.Protocols) != "[/a /b]" || got.Dropped != 1 {
			t.Fatalf("%+v, %v", got, err)
		}
	}
}

func TestLengths(t *testing.T) {
	body := func(n int) []byte { // a part of exactly n bytes: one unknown field
		b := protowire.AppendTag(nil, 99, protowire.BytesType)
		head := len(b) + protowire.SizeVarint(uint64(n))
		b = protowire.AppendBytes(b, make([]byte, n-head))
		return protowire.AppendBytes(nil, b[:min(n, len(b))])
	}
	many := func(n int) []byte { return bytes.Repeat([]byte{0}, n) }
	for _, c := range []struct {
		name   string
		stream []byte
		want   error
	}{
		{"8 KiB", body(maxMessage), nil},
		{"8 KiB and a byte", body(maxMessage + 1), ErrTooLarge},
		{"8 KiB and a byte, without the body", []byte{0x81, 0x40}, ErrTooLarge},
		{"2^63", []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01}, ErrTooLarge},
		{"zero in two bytes", []byte{0x80, 0x00}, ErrMalformed},
		{"five in two bytes", []byte{0x85, 0x00, 0, 0, 0, 0, 0}, ErrMalformed},
		{"ten empty parts", many(maxParts), nil},
		{"eleven empty parts", many(maxParts + 1), ErrTooManyParts},
		{"nothing", nil, ErrTruncated},
		{"half a length", []byte{0x85}, ErrTruncated},
	} {
		for _, chunk := range []int{1, 1 << 20} {
			if _, err := read("", c.stream, chunk); !errors.Is(err, c.want) {
				t.Errorf("%s, chunks of %d: %v, want %v", c.name, chunk, err, c.want)
			}
		}
	}
}

func TestAnnouncedLengthIsNotAllocated(t *testing.T) {
	r := NewReader(Config{}, epoch)
	if err := r.HandleBytes(epoch, []byte{0x80, 0x40, 1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	if cap(r.buf) > 64 {
		t.Fatalf("%d bytes are held for 3", cap(r.buf))
	}
}

func TestMalformedProtobuf(t *testing.T) {
	for name, body := range map[string][]byte{
		"field number 0":       {0x02, 0x00},
		"cut tag":              {0x80},
		"cut value":            {0x0a, 0x05, 1},
		"length of 2^64-1":     {0x1a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
		"group":                {0x0b, 0x0c},
		"end of no group":      {0x0c},
		"unknown wire type":    {0x0f},
		"cut fixed64":          {0x09, 1, 2},
		"varint of 11 bytes":   append(bytes.Repeat([]byte{0xff}, 10), 1),
		"key then cut address": append([]byte{0x0a, 0x00}, 0x12, 0x02, 1),
	} {
		if _, err := read("", protowire.AppendBytes(nil, body), 1<<20); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, want %v", name, err, ErrMalformed)
		}
	}
}

func TestUnknownFieldsAndOtherWireTypesAreSkipped(t *testing.T) {
	body := protowire.AppendVarint(protowire.AppendTag(nil, fieldAgentVersion, protowire.VarintType), 7)
	body = protowire.AppendFixed64(protowire.AppendTag(body, 1000, protowire.Fixed64Type), 7)
	body = protowire.AppendString(protowire.AppendTag(body, 1001, protowire.BytesType), "later")
	body = protowire.AppendString(protowire.AppendTag(body, fieldProtocols, protowire.BytesType), "/a")
	got, err := read("", protowire.AppendBytes(nil, body), 1<<20)
	if err != nil || got.AgentVersion != "" || len(got.Protocols) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
}

func TestCapsHoldAgainstAHundredTimesAsMuch(t *testing.T) {
	n := newNode(t, 1)
	var names, addrs [][]byte
	for i := range maxParts {
		m, a := &wire.Identify{}, &wire.Identify{}
		for j := 0; proto.Size(m) < maxMessage-8; j++ {
			m.Protocols = append(m.Protocols, fmt.Sprintf("%x", i*10_000+j))
		}
		for j := 0; proto.Size(a) < maxMessage-16; j++ {
			a.ListenAddrs = append(a.ListenAddrs, addr(t, fmt.Sprintf("/ip4/10.%d.%d.%d/tcp/1", i, j/256, j%256)).Bytes())
		}
		names, addrs = append(names, part(m)), append(addrs, part(a))
	}
	got, err := read(n.id, bytes.Join(names, nil), 1000)
	if err != nil || len(got.Protocols) != MaxProtocols || got.Dropped < 10_000 {
		t.Fatalf("%d protocols of %d are kept, %v", len(got.Protocols), len(got.Protocols)+got.Dropped, err)
	}
	got, err = read(n.id, bytes.Join(addrs, nil), 1000)
	if err != nil || len(got.ListenAddrs) != MaxAddrs || got.Dropped < 5000 {
		t.Fatalf("%d addresses of %d are kept, %v", len(got.ListenAddrs), len(got.ListenAddrs)+got.Dropped, err)
	}
	empty := protowire.AppendBytes(nil, bytes.Repeat([]byte{fieldProtocols<<3 | 2, 0}, maxMessage/2))
	got, err = read(n.id, bytes.Repeat(empty, maxParts), 1<<20)
	if err != nil || len(got.Protocols) != 0 || got.Dropped != maxParts*maxMessage/2 {
		t.Fatalf("empty names: %d kept, %d dropped, %v", len(got.Protocols), got.Dropped, err)
	}
}

func TestTextIsBoundedAndValid(t *testing.T) {
	for name, in := range map[string]string{
		"a long agent":          strings.Repeat("x", 5000),
		"invalid":               "troupe\xff\xfe",
		"all invalid":           strings.Repeat("a\xff", 500),
		"a terminal's commands": "\x1b[2J\u202e\x07\r\n\u009b",
		"cut inside a rune":     strings.Repeat("x", maxVersion-1) + "\u00e9",
		"many runes of 4 bytes": strings.Repeat("\U0001F600", 100),
	} {
		b := protowire.AppendString(protowire.AppendTag(nil, fieldAgentVersion, protowire.BytesType), in)
		got, err := read("", protowire.AppendBytes(nil, b), 1<<20)
		if err != nil || got.AgentVersion == "" || len(got.AgentVersion) > maxVersion || !utf8.ValidString(got.AgentVersion) ||
			strings.ContainsFunc(got.AgentVersion, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%s: %d bytes, valid %v, %v", name, len(got.AgentVersion), utf8.ValidString(got.AgentVersion), err)
		}
	}
	bad := protowire.AppendString(protowire.AppendTag(nil, fieldProtocols, protowire.BytesType), "/a\xff")
	bad = protowire.AppendString(protowire.AppendTag(bad, fieldProtocols, protowire.BytesType), strings.Repeat("x", maxProtocolName+1))
	bad = protowire.AppendString(protowire.AppendTag(bad, fieldProtocols, protowire.BytesType), "/a\x1b[2J")
	got, err := read("", protowire.AppendBytes(nil, bad), 1<<20)
	if err != nil || len(got.Protocols) != 0 || got.Dropped != 3 {
		t.Errorf("bad protocol names: %+v, %v", got, err)
	}
}

func TestNobodySpeaksForAnotherPeer(t *testing.T) {
	alice, mallory := newNode(t, 1), newNode(t, 99)
	if _, err := read(mallory.id, part(&wire.Identify{PublicKey: identity.MarshalPublicKey(alice.key.Public())}), 1<<20); !errors.Is(err, ErrWrongPeer) {
		t.Errorf("another peer's key: %v", err)
	}
	rec := alice.record(t, 1, "/ip4/192.0.2.1/tcp/1")
	if _, err := read(mallory.id, part(&wire.Identify{SignedPeerRecord: rec}), 1<<20); !errors.Is(err, ErrWrongPeer) {
		t.Errorf("another peer's record: %v", err)
	}
	payload, err := proto.Marshal(&wire.Identify{})
	if err != nil {
		t.Fatal(err)
	}
	other, err := identity.SealEnvelope(alice.key, "libp2p-relay-rsvp", []byte{3, 2}, payload)
	if err != nil {
		t.Fatal(err)
	}
	got, err := read(alice.id, part(&wire.Identify{SignedPeerRecord: other}), 1<<20)
	if err != nil || got.Record != nil || got.Certified != nil || got.Dropped != 1 {
		t.Errorf("a voucher in place of a record: %+v, %v", got, err)
	}
}

func TestEveryFlippedBitOfARecordIsRefused(t *testing.T) {
	alice := newNode(t, 1)
	rec := alice.record(t, 1, "/ip4/192.0.2.1/tcp/1")
	for i := range 8 * len(rec) {
		bad := bytes.Clone(rec)
		bad[i/8] ^= 1 << (i % 8)
		got, err := read(alice.id, part(&wire.Identify{SignedPeerRecord: bad}), 1<<20)
		if err == nil && got.Certified != nil {
			t.Fatalf("bit %d of %d may be flipped", i, 8*len(rec))
		}
	}
}

func TestAddressesOfOthersAndMalformedOnesAreLeftOut(t *testing.T) {
	alice, bob := newNode(t, 1), newNode(t, 2)
	relayed := "/ip4/192.0.2.9/tcp/4001/p2p/" + bob.id.String() + "/p2p-circuit"
	m := &wire.Identify{ObservedAddr: []byte{0xff}, PublicKey: []byte{1, 2, 3}}
	for _, a := range []string{
		"/ip4/192.0.2.1/tcp/4001", "/ip4/192.0.2.2/tcp/4001/p2p/" + alice.id.String(),
		"/ip4/192.0.2.3/tcp/4001/p2p/" + bob.id.String(), "/p2p/" + alice.id.String(),
		relayed, relayed + "/p2p/" + alice.id.String(),
	} {
		m.ListenAddrs = append(m.ListenAddrs, addr(t, a).Bytes())
	}
	m.ListenAddrs = append(m.ListenAddrs, nil, []byte{4, 1}, bytes.Repeat([]byte{4, 1, 1, 1, 1}, 1000))
	got, err := read(alice.id, part(m), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"/ip4/192.0.2.1/tcp/4001", "/ip4/192.0.2.2/tcp/4001", relayed, relayed}
	if fmt.Sprint(got.ListenAddrs) != fmt.Sprint(want) || got.Observed != nil || got.PublicKey != nil || got.Dropped != 7 {
		t.Fatalf("%v with %d dropped, want %v", got.ListenAddrs, got.Dropped, want)
	}
	rec := alice.record(t, 3, "/ip4/192.0.2.1/tcp/1/p2p/"+alice.id.String(), "/ip4/192.0.2.1/tcp/1/p2p/"+bob.id.String())
	got, err = read(alice.id, part(&wire.Identify{SignedPeerRecord: rec}), 1<<20)
	if err != nil || fmt.Sprint(got.Addrs()) != "[/ip4/192.0.2.1/tcp/1]" {
		t.Fatalf("%v, %v", got.Addrs(), err)
	}
}

func TestWhoComesFromTheInternetCannotNameOurNeighbours(t *testing.T) {
	alice := newNode(t, 1)
	claims := []string{"/ip4/127.0.0.1/tcp/1", "/ip4/10.1.2.3/tcp/1", "/ip4/1.2.3.4/tcp/1"}
	info := Info{Record: alice.record(t, 1, claims...)}
	for _, c := range claims {
		info.ListenAddrs = append(info.ListenAddrs, addr(t, c))
	}
	stream, _ := Encode(nil, info)
	for remote, kept := range map[string]int{"/ip4/8.8.8.8/tcp/9": 1, "/ip4/192.168.1.1/tcp/9": 2, "/ip4/127.0.0.1/tcp/9": 3, "": 3} {
		cfg := Config{Peer: alice.id}
		if remote != "" {
			cfg.Remote = addr(t, remote)
		}
		r := NewReader(cfg, epoch)
		if err := r.HandleBytes(epoch, stream); err != nil {
			t.Fatal(err)
		}
		got, err := r.HandleEnd(epoch)
		if err != nil || len(got.ListenAddrs) != kept || len(got.Certified.Addrs) != kept {
			t.Errorf("from %q: %v and %v, %v; want %d", remote, got.ListenAddrs, got.Certified, err, kept)
		}
	}
}

func TestDrippingDoesNotMoveTheDeadline(t *testing.T) {
	r := NewReader(Config{}, epoch)
	now := epoch
	for i := 0; ; i++ {
		at, ok := r.Deadline()
		if !ok || !at.Equal(epoch.Add(5*time.Second)) {
			t.Fatalf("deadline %v, %v", at.Sub(epoch), ok)
		}
		if now = now.Add(time.Second); !now.Before(at) {
			break
		}
		if err := errors.Join(r.HandleTimeout(now), r.HandleBytes(now, []byte{0})); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.HandleTimeout(now); !errors.Is(err, ErrTimeout) {
		t.Fatalf("%v, want %v", err, ErrTimeout)
	}
	if _, err := r.HandleEnd(now); !errors.Is(err, ErrTimeout) {
		t.Fatalf("%v, want %v", err, ErrTimeout)
	}
}

func TestAMessageIsReadOnce(t *testing.T) {
	n := newNode(t, 1)
	stream, _ := Encode(nil, n.info(t))
	r := NewReader(Config{Peer: n.id}, epoch)
	if err := r.HandleBytes(epoch, stream); err != nil {
		t.Fatal(err)
	}
	if _, err := r.HandleEnd(epoch); err != nil {
		t.Fatal(err)
	}
	if _, err := r.HandleEnd(epoch); err == nil || r.HandleBytes(epoch, stream) == nil {
		t.Fatal("a Reader reads again")
	}
	if _, ok := r.Deadline(); ok {
		t.Fatal("a finished Reader has a deadline")
	}
}

func TestBoundsNameTheirAttack(t *testing.T) {
	for _, b := range Bounds() {
		if b.Name == "" || b.Cap <= 0 || b.Attack == "" {
			t.Errorf("incomplete bound %+v", b)
		}
	}
}

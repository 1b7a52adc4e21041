package wire_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-p2p/troupe/messages/wire/envelope"
	"github.com/troupe-p2p/troupe/messages/wire/identify"
	"github.com/troupe-p2p/troupe/messages/wire/keys"
	"github.com/troupe-p2p/troupe/messages/wire/noise"
	"github.com/troupe-p2p/troupe/messages/wire/peerrecord"
	"github.com/troupe-p2p/troupe/messages/wire/plaintext"
	"github.com/troupe-p2p/troupe/messages/wire/webrtc"
)

// The bytes are written out from the field numbers of the specifications, so a wrong number in
// a .proto file cannot hide behind a round trip.
var golden = []struct {
	msg  proto.Message
	wire string
}{
	{&keys.PublicKey{Type: keys.KeyType_RSA.Enum(), Data: []byte{7}}, "0800" + "120107"},
	{&keys.PrivateKey{Type: keys.KeyType_ECDSA.Enum(), Data: []byte{7}}, "0803" + "120107"},
	{&envelope.Envelope{PublicKey: []byte{1}, PayloadType: []byte{2}, Payload: []byte{3}, Signature: []byte{5}},
		"0a0101" + "120102" + "1a0103" + "2a0105"},
	{&peerrecord.PeerRecord{PeerId: []byte{1}, Seq: 300, Addresses: []*peerrecord.PeerRecord_AddressInfo{
		{Multiaddr: []byte{9}}, {Multiaddr: []byte{8}}}},
		"0a0101" + "10ac02" + "1a030a0109" + "1a030a0108"},
	{&noise.NoiseHandshakePayload{IdentityKey: []byte{1}, IdentitySig: []byte{2}, Extensions: &noise.NoiseExtensions{
		WebtransportCerthashes: [][]byte{{3}}, StreamMuxers: []string{"a", "b"}}},
		"0a0101" + "120102" + "2209" + "0a0103" + "120161" + "120162"},
	{&plaintext.Exchange{Id: []byte{1}, Pubkey: []byte{8, 1}}, "0a0101" + "12020801"},
	{&identify.Identify{PublicKey: []byte{1}, ListenAddrs: [][]byte{{2}}, Protocols: []string{"3"}, ObservedAddr: []byte{4},
		ProtocolVersion: proto.String("5"), AgentVersion: proto.String("6"), SignedPeerRecord: []byte{8}},
		"0a0101" + "120102" + "1a0133" + "220104" + "2a0135" + "320136" + "420108"},
	{&webrtc.Message{Flag: webrtc.Message_RESET.Enum(), Message: []byte{7}, ErrorCode: proto.Uint32(9), Window: proto.Uint64(5)},
		"0802" + "120107" + "1809" + "884005"},
}

func TestMessagesAreOnTheWireAsTheSpecificationsNumberThem(t *testing.T) {
	for _, g := range golden {
		name := string(g.msg.ProtoReflect().Descriptor().FullName())
		got, err := proto.MarshalOptions{Deterministic: true}.Marshal(g.msg)
		if err != nil || hex.EncodeToString(got) != g.wire {
			t.Errorf("%s: encoded %x, %v; want %s", name, got, err, g.wire)
		}
		back := g.msg.ProtoReflect().New().Interface()
		if err := proto.Unmarshal(got, back); err != nil || !proto.Equal(g.msg, back) {
			t.Errorf("%s: decoded %v, %v; want %v", name, back, err, g.msg)
		}
	}
}

func TestNoNameCanClashWithAnotherLibraryInTheProcess(t *testing.T) {
	for _, g := range golden {
		file := g.msg.ProtoReflect().Descriptor().ParentFile()
		if !strings.HasPrefix(file.Path(), "troupe/wire/") {
			t.Errorf("%s registers as %q", file.FullName(), file.Path())
		}
		if !strings.HasPrefix(string(file.Package()), "troupe.wire.") {
			t.Errorf("%s has package %q", file.Path(), file.Package())
		}
	}
}

package message

import (
	"github.com/troupe-p2p/troupe/identity"

	"google.golang.org/protobuf/encoding/protowire"
)

const (
	// ownPart is the size of the parts that we send: rust-libp2p reads no more than 4096
	// bytes, and it and js-libp2p read the first part only.
	ownPart = 4096
	// ownParts is the number of parts that we send: go-libp2p reads ten times, and the end
	// of the stream has to be one of them.
	ownParts = 9
	// ownAddrs is what the listen addresses may take of the first part before the protocols.
	// Who reads only the first part should see some of both.
	ownAddrs = ownPart / 3
	// usual is more than most messages have.
	usual = 512
)

// Encode appends the message to dst and returns how many values had no place in it.
//
// The first part has the key, the versions, the observed address, as many listen addresses as a
// third of it holds, and protocols; the others what is left. A record that does not fit into the
// only part gets one of its own, at the end.
func Encode(dst []byte, info Info) (out []byte, left int) {
	e := encoder{out: dst, part: make([]byte, 0, usual)}
	if info.PublicKey != nil {
		e.field(fieldPublicKey, identity.MarshalPublicKey(info.PublicKey))
	}
	if info.ProtocolVersion != "" {
		e.field(fieldProtocolVersion, []byte(version([]byte(info.ProtocolVersion))))
	}
	if info.AgentVersion != "" {
		e.field(fieldAgentVersion, []byte(version([]byte(info.AgentVersion))))
	}
	if info.Observed != nil {
		e.field(fieldObserved, info.Observed.Bytes())
	}
	addrs := info.ListenAddrs
	for start := len(e.part); len(addrs) > 0 && len(e.part)-start+len(addrs[0].Bytes()) < ownAddrs; addrs = addrs[1:] {
		e.field(fieldListenAddrs, addrs[0].Bytes())
	}
	for _, p := range info.Protocols {
		if validProtocol([]byte(p)) {
			e.field(fieldProtocols, []byte(p))
		} else {
			e.left++
		}
	}
	for _, a := range addrs {
		e.field(fieldListenAddrs, a.Bytes())
	}
	if len(info.Record) > 0 {
		e.field(fieldRecord, info.Record)
	}
	if len(e.part) > 0 || e.parts == 0 {
		e.flush()
	}
	return e.out, e.left
}

type encoder struct {
	out   []byte
	part  []byte
	parts int
	left  int
}

func (e *encoder) field(num protowire.Number, value []byte) {
	size := protowire.SizeTag(num) + protowire.SizeBytes(len(value))
	full := len(e.part) > 0 && len(e.part)+size > ownPart
	if size > maxMessage || full && e.parts+1 == ownParts {
		e.left++
		return
	}
	if full {
		e.flush()
	}
	e.part = protowire.AppendTag(e.part, num, protowire.BytesType)
	e.part = protowire.AppendBytes(e.part, value)
}

func (e *encoder) flush() {
	e.out = protowire.AppendBytes(e.out, e.part)
	e.part = e.part[:0]
	e.parts++
}

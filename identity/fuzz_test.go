package identity

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-p2p/troupe/messages/wire/peerrecord"
)

func FuzzDecode(f *testing.F) {
	for _, v := range foreign(f) {
		f.Add(v["id"])
		f.Add(v["cid"])
	}
	f.Add("k51qzi5uqu5dlvj2baxnqndepeb86cbk3ng7n3i46uzyxzyqj2xjonzllnv0v8")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := Decode(s)
		if (err == nil) == (id == "") {
			t.Fatalf("Decode(%q) = %q, %v", s, id, err)
		}
		if err != nil {
			return
		}
		for _, text := range []string{id.String(), id.CID()} {
			if back, err := Decode(text); err != nil || back != id {
				t.Fatalf("%q: %q came back as %q, %v", s, text, back, err)
			}
		}
		if k, ok := id.ExtractKey(); ok && !id.MatchesKey(k) {
			t.Fatalf("%q holds a key that it does not match", s)
		}
	})
}

func FuzzIDFromBytes(f *testing.F) {
	f.Add([]byte{0, 1, 7})
	f.Add(append([]byte{0x12, 0x20}, make([]byte, 32)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		id, err := IDFromBytes(b)
		if (err == nil) == (id == "") {
			t.Fatalf("%x: %q, %v", b, id, err)
		}
		if err != nil {
			return
		}
		if !bytes.Equal(id.Bytes(), b) {
			t.Fatalf("%x came back as %x", b, id.Bytes())
		}
		if back, err := Decode(id.CID()); err != nil || back != id {
			t.Fatalf("%x: %q came back as %q, %v", b, id.CID(), back, err)
		}
		if k, ok := id.ExtractKey(); ok && !id.MatchesKey(k) {
			t.Fatalf("%x holds a key that it does not match", b)
		}
	})
}

func FuzzUnmarshalPublicKey(f *testing.F) {
	for _, v := range append(foreign(f), vectors(f, "spec.txt")...) {
		f.Add(v.hex(f, "public"))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := UnmarshalPublicKey(b)
		if err != nil {
			return
		}
		if !bytes.Equal(MarshalPublicKey(k), b) {
			t.Fatalf("%x came back as %x", b, MarshalPublicKey(k))
		}
		if k.Verify([]byte("data"), b) == nil {
			t.Fatalf("%x signed something", b)
		}
		if id, err := IDFromKey(k); err != nil || !id.MatchesKey(k) {
			t.Fatalf("%x: ID %q, %v", b, id, err)
		}
	})
}

func FuzzUnmarshalPrivateKey(f *testing.F) {
	for _, v := range append(foreign(f), vectors(f, "spec.txt")...) {
		f.Add(v.hex(f, "private"))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := UnmarshalPrivateKey(b)
		if err != nil {
			return
		}
		again, err := UnmarshalPrivateKey(MarshalPrivateKey(k))
		if err != nil || !bytes.Equal(again.Raw(), k.Raw()) {
			t.Fatalf("%x: what we write is not what we read: %v", b, err)
		}
		sig, err := k.Sign(b)
		if err != nil {
			t.Fatalf("%x: %v", b, err)
		}
		if err := k.Public().Verify(b, sig); err != nil {
			t.Fatalf("%x: %v", b, err)
		}
	})
}

func FuzzVerify(f *testing.F) {
	var all []PublicKey
	for i, v := range foreign(f) {
		all = append(all, v.private(f).Public())
		f.Add(byte(i), []byte("troupe"), v.hex(f, "signature"))
	}
	good := []byte("troupe")
	f.Fuzz(func(t *testing.T, which byte, data, sig []byte) {
		k := all[int(which)%len(all)]
		if k.Verify(data, sig) == nil && !bytes.Equal(data, good) {
			t.Fatalf("%v: a signature over %q out of nothing: %x", k.Type(), data, sig)
		}
	})
}

func FuzzOpenEnvelope(f *testing.F) {
	for _, v := range foreign(f) {
		f.Add(v.hex(f, "record"))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := OpenEnvelope(b, []byte(recordType), recordDomain)
		if (err == nil) == (e == nil) {
			t.Fatalf("%+v, %v", e, err)
		}
		if r, k, err := OpenPeerRecord(b); err == nil && !r.ID.MatchesKey(k) {
			t.Fatalf("record of %s signed by another key", r.ID)
		}
	})
}

// The payload is signed here, so that the fuzzer gets past the signature.
func FuzzPeerRecordPayload(f *testing.F) {
	k := testKey(f, Ed25519, 1)
	own := testRecord(f, k, vectorAddrs...)
	m := &peerrecord.PeerRecord{PeerId: own.ID.Bytes(), Seq: 1 << 63}
	for _, a := range own.Addrs {
		m.Addresses = append(m.Addresses, &peerrecord.PeerRecord_AddressInfo{Multiaddr: a.Bytes()})
	}
	seed, err := proto.Marshal(m)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, payload []byte) {
		b, err := SealEnvelope(k, recordDomain, []byte(recordType), payload)
		if err != nil {
			return
		}
		r, _, err := OpenPeerRecord(b)
		if err != nil {
			return
		}
		if r.ID != own.ID || len(r.Addrs) > MaxRecordAddrs {
			t.Fatalf("%+v", r)
		}
		for _, a := range r.Addrs {
			if a.String() == "" {
				t.Fatalf("%x prints as nothing", a.Bytes())
			}
		}
		again, err := r.Seal(k)
		if err != nil {
			t.Fatal(err)
		}
		if back, _, err := OpenPeerRecord(again); err != nil || !sameRecord(back, r) {
			t.Fatalf("%+v came back as %+v, %v", r, back, err)
		}
	})
}

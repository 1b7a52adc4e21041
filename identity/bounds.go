package identity

import "github.com/troupe-p2p/troupe/internal/bound"

// Bounds lists what a remote can fill here.
func Bounds() []bound.Bound {
	return []bound.Bound{
		{Name: "identity: bytes of a public key", Cap: maxPublicKey, Attack: "keys that take long to decode"},
		{Name: "identity: bits of an RSA key", Cap: maxRSABits, Attack: "keys that take long to verify with"},
		{Name: "identity: bytes of an envelope", Cap: MaxEnvelope, Attack: "records that fill the peerstore"},
		{Name: "identity: addresses of a peer record", Cap: MaxRecordAddrs, Attack: "records of countless empty addresses"},
	}
}

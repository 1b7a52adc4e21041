// Package identity holds who a peer is: keys, peer IDs, signed envelopes and peer records. All are
// values; nothing here does I/O, keeps state or reads a clock.
//
//	key       0x08 type  0x12 uvarint(len) data            one encoding per key, see key.go
//	peer ID   0x00 len key     when the encoded key is at most 42 bytes (identity multihash)
//	          0x12 0x20 sha256(key)                         else
//	text      base58btc(ID)  or  multibase CIDv1 with codec libp2p-key (0x72)
//	envelope  {1: key, 2: payload type, 3: payload, 5: signature}, see envelope.go
//	record    {1: peer ID, 2: sequence, 3: {1: multiaddr}*} in an envelope, see record.go
//
// Everything that is decoded here may come from a stranger. A decoder checks lengths before it
// allocates and key sizes before it verifies, takes exactly one encoding of each key (so that a key
// has one peer ID), and returns an error value for everything else. The errors name what is wrong;
// errors.Is tells the kinds of errors.go apart. Whose fault it is, the caller knows: bytes from
// the wire are the remote's, bytes from a key file are local.
package identity

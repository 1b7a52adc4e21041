// Package negotiation holds the actors between a socket and a connection.
//
//	gate                 bounds the inbound handshakes; a newcomer takes the slot of who stands still
//	└─ upgrade           one connection: security, then muxer, under one deadline
//
//	listener ─Accepted─> gate ─spawns─> upgrade ─Upgraded─> gate ─Arrived─> peers
//	dial ─spawns─> upgrade ─Upgraded─> dial
//
// The cores: multistream, noise, plaintext, pnet and upgrade (the state machine of a whole upgrade), and
// admission (who loses a slot). tls is an adapter, because crypto/tls wants to block.
package negotiation

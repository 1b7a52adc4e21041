// Package peers holds the actors of the remotes.
//
//	peers            one for the node: finds or starts the peer, counts connections against the limits
//	└─ peer          one for each remote that there is anything to do with
//	   ├─ dial       attempts under way, see package transports
//	   └─ connection see package mux
//
// Every link, dialled or accepted, passes through peers once, which admits it or closes it:
//
//	gate ─Arrived─> peers ─addLink─> peer ─spawns─> connection
//	dial ─Dialled─> peer ─Arrived─> peers ─addLink─> peer ...
//
// Every attempt to dial has a permit from peers, of which there are Limits.HalfOpenOut:
//
//	peer ─dialWanted─> peers ─granted─> peer ─spawns─> dial ... peer ─dialOver─> peers
//
// The decisions are in the cores: dialplan (which address when), connset (which connection),
// limits (how many).
package peers

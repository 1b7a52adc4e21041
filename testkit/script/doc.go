// Package script plays a remote by hand: a peer under the test's control that speaks at any layer
// over a conduit.Raw, in dialogue form, and that can misbehave on purpose.
//
//	conduit.Raw     Send and Want bytes, multistream-select messages, garbage, half a message
//	└─ Noise        either role, any identity key, with or without early muxers, step by step
//	   └─ yamux     frames by hand; or Mux, which keeps the rules and lets frames be written too
//	      └─ Stream Send and Want again: bytes, multistream-select, protobuf messages
//
// A dialogue states its reason first:
//
//	peer := script.Dial(t, world, transport, addr, script.Config{})
//	peer.Send(script.Header, script.Protocol("/noise"))
//	peer.Want("the node speaks noise", script.Header, script.Protocol("/noise"))
//	hs := peer.Noise(script.Noise{Key: key})
//	hs.Send()                                   // -> e
//	peer.WantIdle("it answers once", 0)
//	peer.Stall()                                // and reads nothing more
//
// What the test waits for is made to happen by a Driver: a simulated world, in virtual time and
// on the test's goroutine, or Live. The mechanics are the project's own cores; every message can
// be written by hand beside them.
//
// A Want that is not met ends the test with the reason, what was wanted, what came (in hex and
// decoded as far as it makes sense) and the dialogue up to there.
package script

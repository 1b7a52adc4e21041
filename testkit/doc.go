// Package testkit tests programs of nodes and of actors: whole networks from a seed, single actors
// step by step, and contract suites for transports and muxers.
//
//	World     simulated hosts with nodes that run the whole stack, in virtual time
//	  Node      one of them: dial, open, crash, restart, kill an actor of it
//	  Net       links, NATs, partitions, exact faults (package simnet)
//	  Traffic   load, every byte of which is in the Ledger
//	Seeds     a scenario in many worlds; a failure is shrunk and says how to replay it
//	Unit      one actor: what it has armed, spawned, published, and told its Probes
//	Probe     an actor that records what it is told
//	Stampede  kills random actors
//	NoLeaks   goroutines and descriptors, NoActors: actors
//
// A world is one goroutine: the test's. Any call of a node that waits (Open, Read, Dial, Close, and
// World.Run) makes things happen until it is served; time passes only there, and only as far as
// something is due. So a test reads like one against real nodes, takes no time, and does the same
// again for the same seed. The examples are the way in.
//
// What is told apart from a real network:
//
//   - Blocking handlers run as coroutines: the turn goes from one to the next where they wait for a
//     stream or for a call of the node's. They may not wait for anything else (channels,
//     time.Sleep, sockets): the world stands still then, says where, and ends the process. Take the
//     time from World.Now or Runtime.Now, and deadlines from Runtime.WithTimeout.
//   - Worlds use Noise. TLS works, but the standard library's draws its own randomness, so that
//     such runs do not replay. DNS names are not resolved.
//   - NodeOptions.Skew gives a node a clock that is wrong; clocks do not drift.
package testkit

// Package troupe is a libp2p node in which everything that lives is a supervised actor.
//
// A System is made from a Config. It listens and dials, and hands the streams of a protocol to
// handlers of two kinds: actors, which get messages, and functions, which read and write. A panic
// in a handler costs its stream and nothing else. Tree shows every actor of the node at work.
//
// The tree of a node:
//
//	node-1                      one_for_one
//	├─ keepers                  book (addresses of peers), router (protocol -> handler)
//	├─ services                 identify, ...
//	└─ movers                   rest_for_one: if a consumer dies, its producers restart too
//	   ├─ peers ─ peer ─ connection ─ stream ─ handler
//	   ├─ gate ─ upgrade        half-open inbound handshakes
//	   └─ listeners ─ listener
//
// What dies when what fails is written down, with a test for each row, in docs/supervision.md.
package troupe

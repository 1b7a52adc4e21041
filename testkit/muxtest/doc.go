// Package muxtest holds a muxer, as the actor of a connection, to its contract with one call:
//
//	func TestContract(t *testing.T) {
//		muxtest.Run(t, muxtest.Subject{
//			Name:    "mine",
//			Session: func(cfg mux.Config) actors.Spec { return mine.Spec(cfg) },
//		})
//	}
//
// Two sides of one connection run as they do in a node: a session that is a child of whoever is
// responsible for the peer, with its share of the node's budgets, below it streams and handlers.
// What is tested is what people see of that: blocking streams and actor handlers on both ends.
//
//	streams      both ways, both ends opening, half-closed, one after another and all at once
//	negotiation  lazy and confirmed opens, unknown protocols, Close that waits for the answer
//	endings      resets and codes, the end of the connection in every way there is, early returns
//	flow         back-pressure, windows, deadlines, fairness
//	faults       handlers that panic, hang and get stuck; streams over the limit
//
// Everything has to be given back after each test: actors, goroutines, buffers, budgets. Tests count
// them, so nothing else may run beside them in the process.
//
// A Subject without a Session is this project's own; with another Link it is that over another
// transport. Yamux and Native are the two that the memory transport offers.
package muxtest

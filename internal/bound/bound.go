// Package bound describes the containers that a remote can fill.
//
// Every queue, map and buffer whose growth is in a remote's hands has a cap, kept as a named
// constant beside it. Its package lists them in a function Bounds, so that one test can walk
// the whole node, feed each container a hundred times its cap, and see that none passes it.
package bound

import "strconv"

// Bound is one container fed by a remote.
type Bound struct {
	// Name is where it is and what it holds: "peerstore/book: addresses of one peer".
	Name string
	// Cap is the most it holds, in what Name counts: elements or bytes.
	Cap int
	// Attack is what the cap stops, in words for the reader of a report.
	Attack string
}

// String is one line of the report.
func (b Bound) String() string {
	return b.Name + " <= " + strconv.Itoa(b.Cap) + " (" + b.Attack + ")"
}

package messages

import "time"

// Peer is what the actor of one remote receives.
type Peer interface{ peer() }

// StreamsChanged says that a connection carries streams now, or since when it carries none.
type StreamsChanged struct {
	Peer
	Conn  uint64
	Quiet time.Time // zero: it carries some
}

// ConnEnded says that a connection is over; its actor stops by itself.
type ConnEnded struct {
	Peer
	Conn   uint64
	Code   uint32
	Remote bool // the remote ended it, with Code
	Err    error
}

// Answer is what an attempt tells of the way to its address.
type Answer uint8

// The answers.
const (
	NoAnswer Answer = iota // nobody was heard of in time
	Answered               // somebody was there, whatever came of it
	NotAsked               // it was this machine that could not
)

// Dialled is the outcome of one attempt of a dial; Link is nil if Err is set.
type Dialled struct {
	Peer
	Attempt uint64
	Link    *Link
	Err     error
	Answer  Answer
}

// Discard implements actors.Discarder.
func (m *Dialled) Discard(error) {
	if m.Link != nil {
		m.Link.Close()
	}
}

// LinkRefused says that a link of this peer does not become a connection; it is closed.
type LinkRefused struct {
	Peer
	Link *Link
	Err  error
}

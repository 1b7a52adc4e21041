package messages

// Peer is what the actor of one remote receives.
type Peer interface{ peer() }

// StreamsChanged says how many streams a connection carries now.
type StreamsChanged struct {
	Peer
	Conn    uint64
	Streams int
}

// ConnEnded says that a connection is over; its actor stops by itself.
type ConnEnded struct {
	Peer
	Conn   uint64
	Code   uint32
	Remote bool // the remote ended it, with Code
	Err    error
}

// Dialled is the outcome of one attempt of a dial; Link is nil if Err is set.
type Dialled struct {
	Peer
	Attempt uint64
	Link    *Link
	Err     error
	// Reached says that somebody has answered at the address, whatever came of it.
	Reached bool
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

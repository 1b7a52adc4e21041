package peers

import (
	"errors"
	"sync"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/peers/story"

	ma "github.com/multiformats/go-multiaddr"
)

// Stories are what has happened with each peer. They belong to the node, have a lock, and outlive the
// actors of the peers.
type Stories struct {
	mu   sync.Mutex
	book story.Book
}

// Dialled is what the happening of a dial is called; those of connections have the names of their events.
const Dialled = "dialled"

// errAllFailed stands for a dialplan.Error whose addresses are in the report.
var errAllFailed = errors.New("no address has answered as it should")

// Note takes an event of the node, if it is about a peer.
func (s *Stories) Note(e messages.Event) {
	h := story.Happening{At: e.At, What: string(e.Kind), Code: e.Code, Remote: e.Remote, Err: e.Err, Addr: first(e.Addrs)}
	if e.Conn != nil {
		h.Addr = e.Conn.Endpoints.Remote
	}
	s.add(e.Peer, h)
}

func first(as []ma.Multiaddr) ma.Multiaddr {
	if len(as) == 0 {
		return nil
	}
	return as[0]
}

// Of is what has happened with a peer, the oldest first.
func (s *Stories) Of(peer identity.ID) []story.Happening {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.book.Of(peer)
}

// Len is how many peers are remembered.
func (s *Stories) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.book.Len()
}

// add is no method of a nil Stories' business: then nobody asks.
func (s *Stories) add(peer identity.ID, h story.Happening) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.book.Add(peer, h)
}

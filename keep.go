package troupe

import (
	"errors"

	"github.com/troupe-p2p/troupe/identity"
)

// Tag says what a peer is worth to the program, for one of its reasons: when Limits.Conns is used up, a
// newcomer takes the place of the connection that is of the least use (docs/limits.md has the order): of
// two that both carry streams, or both do not, the one whose peer's tags have the smaller sum. A tag of the same name is replaced. Tags stay
// until Untag, whether the peer is connected or not; at most 64 for one peer, and 16,384 peers. A value
// beyond 2^24 counts as that, of either sign.
func (s *System) Tag(peer identity.ID, name string, value int) error {
	if peer == "" {
		return ErrConfig.with("tag", peer, errNoPeer)
	}
	return explain("tag", peer, s.marks.Tag(peer, name, value))
}

// Untag takes a tag back.
func (s *System) Untag(peer identity.ID, name string) { s.marks.Untag(peer, name) }

// Protect keeps the connections with a peer from being closed for others, until Unprotect is called for
// each reason that it was called for. A protected newcomer takes the place of one that is not, as long as
// an inbound one finds one that was not dialled by this node, and not among its own peer's if it has any.
func (s *System) Protect(peer identity.ID, reason string) error {
	if peer == "" {
		return ErrConfig.with("protect", peer, errNoPeer)
	}
	return explain("protect", peer, s.marks.Protect(peer, reason))
}

// Unprotect takes a reason back. It reports whether the peer is protected for another one.
func (s *System) Unprotect(peer identity.ID, reason string) bool {
	return s.marks.Unprotect(peer, reason)
}

var errNoPeer = errors.New("no peer given")

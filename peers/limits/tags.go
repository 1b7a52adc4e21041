package limits

import (
	"fmt"
	"slices"

	"github.com/troupe-p2p/troupe/identity"
)

const (
	// MaxTagged is how many peers may be tagged or protected. It stops a protocol that tags whom
	// it hears of from filling the memory with peers that remotes have invented.
	MaxTagged = 1 << 14
	// MaxTags is how many tags and protections one peer may have.
	MaxTags = 64
	// maxValue keeps a sum of tags within an int, of 32 bits too: the build has to get as far as to say that
	// these are not supported.
	maxValue = 1 << 24
)

var (
	// ErrTagged refuses a peer that is one too many.
	ErrTagged = fmt.Errorf("limit: %d peers are tagged or protected", MaxTagged)
	// ErrTags refuses a tag that is one too many.
	ErrTags = fmt.Errorf("limit: the peer has %d tags and protections", MaxTags)
)

// Tags say what peers are worth to the program. They stay until they are taken off, whether the peer
// is connected or not. The zero Tags is ready.
type Tags struct{ peers map[identity.ID][]tag }

// tag is one reason to keep a peer.
type tag struct {
	name    string
	protect bool
	value   int
}

// Set gives a peer a tag of some value, or its tag of that name another value.
func (t *Tags) Set(peer identity.ID, name string, value int) error {
	return t.put(peer, tag{name: name, value: min(max(value, -maxValue), maxValue)})
}

// Protect keeps the connections with a peer from being closed for others, for one more reason.
func (t *Tags) Protect(peer identity.ID, name string) error {
	return t.put(peer, tag{name: name, protect: true})
}

func (t *Tags) put(peer identity.ID, n tag) error {
	of := t.peers[peer]
	if i := index(of, n.name, n.protect); i >= 0 {
		of[i] = n
		return nil
	}
	switch {
	case of == nil && len(t.peers) >= MaxTagged:
		return ErrTagged
	case len(of) >= MaxTags:
		return ErrTags
	case t.peers == nil:
		t.peers = make(map[identity.ID][]tag)
	}
	t.peers[peer] = append(of, n)
	return nil
}

// Clear takes a tag off.
func (t *Tags) Clear(peer identity.ID, name string) { t.remove(peer, name, false) }

// Unprotect takes one reason back. It reports whether the peer is protected for another one.
func (t *Tags) Unprotect(peer identity.ID, name string) bool {
	t.remove(peer, name, true)
	protected, _ := t.Of(peer)
	return protected
}

func (t *Tags) remove(peer identity.ID, name string, protect bool) {
	of := t.peers[peer]
	i := index(of, name, protect)
	switch {
	case i < 0:
	case len(of) == 1:
		delete(t.peers, peer)
	default:
		t.peers[peer] = slices.Delete(of, i, i+1)
	}
}

// Of returns whether a peer is protected, and the sum of its tags.
func (t *Tags) Of(peer identity.ID) (protected bool, value int) {
	for _, n := range t.peers[peer] {
		protected = protected || n.protect
		value += n.value
	}
	return protected, value
}

// Len is the number of peers with tags or protections.
func (t *Tags) Len() int { return len(t.peers) }

func index(of []tag, name string, protect bool) int {
	return slices.IndexFunc(of, func(n tag) bool { return n.name == name && n.protect == protect })
}

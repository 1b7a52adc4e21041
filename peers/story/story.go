// Package story remembers what has happened with each peer: the last few connections, dials and refusals,
// so that a node can be asked afterwards why it does not reach somebody.
//
//	Add   something has happened
//	Of    what has, the oldest first
//
// It holds Peers peers, those of the latest happenings, and Happenings of each.
package story

import (
	"container/list"
	"fmt"
	"strings"
	"time"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/bound"
	"github.com/troupe-p2p/troupe/peers/dialplan"

	ma "github.com/multiformats/go-multiaddr"
)

const (
	// Peers is how many peers are remembered.
	Peers = 1024
	// Happenings is how many things are remembered of one peer.
	Happenings = 16
)

// Bounds lists what a remote can fill.
func Bounds() []bound.Bound {
	return []bound.Bound{
		{Name: "peers/story: peers remembered", Cap: Peers, Attack: "connections from endless identities"},
		{Name: "peers/story: happenings of one peer", Cap: Happenings, Attack: "a peer that comes and goes"},
	}
}

// Happening is one thing that has happened with a peer.
type Happening struct {
	At   time.Time
	What string // the kind of an event, or "dialled"
	Addr ma.Multiaddr
	// Code and Remote say how a connection ended.
	Code   uint32
	Remote bool
	Err    error
	// Tried are the addresses of a dial.
	Tried []dialplan.Tried
}

// String is one line, and one more for each address of a dial.
func (h Happening) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", h.At.UTC().Format("15:04:05.000"), h.What)
	if h.Addr != nil {
		fmt.Fprintf(&b, " %s", h.Addr)
	}
	if h.Err != nil {
		fmt.Fprintf(&b, ": %v", h.Err)
	}
	for _, t := range h.Tried {
		fmt.Fprintf(&b, "\n    %s %s", t.Addr, t.Fate)
		if t.Err != nil {
			fmt.Fprintf(&b, ": %v", t.Err)
		}
	}
	return b.String()
}

// Book has the stories. The zero Book is empty.
type Book struct {
	byPeer map[identity.ID]*list.Element
	order  list.List // of *chapter, that of the latest happening last
}

type chapter struct {
	peer identity.ID
	all  []Happening // a ring once it is full
	next int
}

// Add remembers h, and forgets the oldest of that peer, or the peer of which nothing was heard for longest.
func (b *Book) Add(peer identity.ID, h Happening) {
	if peer == "" {
		return
	}
	e := b.byPeer[peer]
	if e == nil {
		if b.byPeer == nil {
			b.byPeer = map[identity.ID]*list.Element{}
		}
		if b.order.Len() == Peers {
			oldest := b.order.Front()
			delete(b.byPeer, oldest.Value.(*chapter).peer)
			b.order.Remove(oldest)
		}
		e = b.order.PushBack(&chapter{peer: peer})
		b.byPeer[peer] = e
	} else {
		b.order.MoveToBack(e)
	}
	c := e.Value.(*chapter)
	if len(c.all) < Happenings {
		c.all = append(c.all, h)
		return
	}
	c.all[c.next] = h
	c.next = (c.next + 1) % Happenings
}

// Of is what has happened with a peer, the oldest first.
func (b *Book) Of(peer identity.ID) []Happening {
	e := b.byPeer[peer]
	if e == nil {
		return nil
	}
	c := e.Value.(*chapter)
	return append(append(make([]Happening, 0, len(c.all)), c.all[c.next:]...), c.all[:c.next]...)
}

// Len is how many peers are remembered.
func (b *Book) Len() int { return b.order.Len() }

package troupe

import (
	"context"
	"fmt"
	"strings"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/peers/story"
)

// Happening is one thing that has happened with a peer: an event, or a dial with what became of each
// address. Its String is for people.
type Happening = story.Happening

// Story is what a node knows of a peer and of what has happened with it.
type Story struct {
	KnownPeer
	Conns []*Conn
	// Happened are the last 16 things, the oldest first: connections and their ends with who ended them and
	// why, refusals, dials with every address that was tried, failed or left out.
	Happened []Happening
}

// Explain tells the story of a peer: why there is no connection, or why there is none any more. The node
// remembers the 1,024 peers of which it has heard last.
func (s *System) Explain(ctx context.Context, peer identity.ID) (Story, error) {
	known, err := s.Peer(ctx, peer)
	if err != nil {
		return Story{}, err
	}
	all, err := s.Conns(ctx)
	if err != nil {
		return Story{}, err
	}
	known.Peer = peer
	out := Story{KnownPeer: known, Happened: s.stories.Of(peer)}
	for _, c := range all {
		if c.Peer == peer {
			out.Conns = append(out.Conns, c)
		}
	}
	return out, nil
}

// String is a few lines.
func (s Story) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "peer %s, %d connections, %d known addresses", s.Peer, len(s.Conns), len(s.Addrs))
	for _, c := range s.Conns {
		fmt.Fprintf(&b, "\nconnected: %s (%v) since %s", c.Endpoints.Remote, c.Endpoints.Direction, c.Since.UTC().Format("15:04:05.000"))
	}
	for _, a := range s.Addrs {
		fmt.Fprintf(&b, "\nknown: %s", a)
	}
	for _, h := range s.Happened {
		fmt.Fprintf(&b, "\n%s", h)
	}
	return b.String()
}

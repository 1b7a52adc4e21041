package troupe

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/addrs"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/mux"
	"github.com/troupe-p2p/troupe/stream"

	ma "github.com/multiformats/go-multiaddr"
)

// OpenOptions say how to open a stream. The zero value works.
type OpenOptions struct {
	// Addrs are tried beside what the peerstore knows.
	Addrs []ma.Multiaddr
	// Confirm waits for the peer's agreement on the protocol. Without it a single protocol is
	// proposed together with the first data, which saves a round trip; a refusal then shows
	// on the first use after it came. With several protocols Open always waits.
	Confirm bool
	// NoDial refuses instead of dialling.
	NoDial bool
	// Handler serves the stream inside the node; the stream that Open returns is then only
	// good for Reset and for looking at.
	Handler Handler
}

// Open opens a stream to a peer for the first of the protocols that it speaks, over a live
// connection or over one that is dialled for it.
func (s *System) Open(ctx context.Context, peer identity.ID, protocols ...string) (*Stream, error) {
	st, err := s.OpenWith(ctx, peer, OpenOptions{}, protocols...)
	if err != nil {
		return nil, err
	}
	return st.Blocking(), nil
}

// OpenWith is Open with options. It returns the stream's handle: Blocking makes it a *Stream.
func (s *System) OpenWith(ctx context.Context, peer identity.ID, o OpenOptions, protocols ...string) (*StreamRef, error) {
	const op = "open"
	switch {
	case peer == "":
		return nil, ErrConfig.with(op, peer, errors.New("no peer given"))
	case len(protocols) == 0:
		return nil, ErrConfig.with(op, peer, errors.New("no protocol given"))
	}
	if session, ok := s.routes.To(peer); ok {
		st, err := actors.AskInline(ctx, session, func(r actors.Reply[*stream.Stream]) messages.Session {
			return &messages.OpenStream{Protocols: protocols, Confirm: o.Confirm, Handler: o.Handler, Reply: r}
		})
		switch {
		case err == nil:
			return st, nil
		case !tooLate(err):
			return nil, s.explain(ctx, op, peer, err)
		}
	}
	deadline, _ := ctx.Deadline()
	st, err := actors.Ask(ctx, s.peers, func(r actors.Reply[*stream.Stream]) messages.Peers {
		return &messages.Open{
			Peer: peer, Addrs: o.Addrs, Protocols: protocols, Confirm: o.Confirm, Handler: o.Handler,
			NoDial: o.NoDial, Deadline: deadline, Reply: r,
		}
	})
	if err != nil {
		return nil, s.explain(ctx, op, peer, err)
	}
	return st, nil
}

// tooLate says that a connection had ended before it was asked. One that ends later takes the opens
// under way with it: whoever calls Disconnect wants no dial for them.
func tooLate(err error) bool {
	return errors.Is(err, mux.ErrTooLate) || errors.Is(err, actors.ErrStopped)
}

// Dial makes sure that there is a connection with a peer. With an empty peer, there must be one
// address, and whoever answers there is taken.
func (s *System) Dial(ctx context.Context, peer identity.ID, addresses ...ma.Multiaddr) (*Conn, error) {
	if peer == "" && len(addresses) == 1 && addrs.HasDNS(addresses[0]) {
		return s.dialName(ctx, addresses[0])
	}
	if peer == "" && len(addresses) != 1 {
		return nil, ErrConfig.with("dial", peer, fmt.Errorf("no peer given, and %d addresses instead of one", len(addresses)))
	}
	deadline, _ := ctx.Deadline()
	c, err := actors.Ask(ctx, s.peers, func(r actors.Reply[*stream.Conn]) messages.Peers {
		return &messages.Dial{Peer: peer, Addrs: addresses, Deadline: deadline, Reply: r}
	})
	switch {
	case err == nil:
		return c, nil
	case peer == "":
		return nil, s.explainAttempt(ctx, "dial", err)
	}
	return nil, s.explain(ctx, "dial", peer, err)
}

// dialName tries what a name stands for, one after another: without a peer ID nothing says that
// two addresses lead to the same peer.
func (s *System) dialName(ctx context.Context, name ma.Multiaddr) (*Conn, error) {
	found, err := s.names.Resolve(ctx, name)
	if err != nil {
		return nil, ErrDialFailed.with("dial", "", err)
	}
	var failed []error
	for _, a := range found {
		a, peer, err := addrs.SplitPeer(a)
		if err == nil {
			var c *Conn
			if c, err = s.Dial(ctx, peer, a); err == nil {
				return c, nil
			}
		}
		failed = append(failed, err)
	}
	return nil, ErrDialFailed.with("dial", "", errors.Join(failed...))
}

// DialAddr is Dial for one address as a string, with or without /p2p/ID.
func (s *System) DialAddr(ctx context.Context, addr string) (*Conn, error) {
	a, peer, err := ParseAddr(addr)
	if err != nil {
		return nil, err
	}
	return s.Dial(ctx, peer, a)
}

// ParseAddr takes a multiaddr apart into the address and the peer that it names, which may be
// empty.
func ParseAddr(addr string) (ma.Multiaddr, identity.ID, error) {
	a, err := addrs.ParseString(addr)
	if err != nil {
		return nil, "", ErrConfig.with("parse", "", err)
	}
	a, peer, err := addrs.SplitPeer(a)
	if err != nil {
		return nil, "", ErrConfig.with("parse", "", err)
	}
	return a, peer, nil
}

// Disconnect closes every connection with a peer. It does not wait for the end.
func (s *System) Disconnect(peer identity.ID) {
	s.routes.Forget(peer)
	_ = s.peers.Control(&messages.Hangup{Peer: peer, Reason: "disconnected by the application"})
}

// Conns lists the live connections, oldest first.
func (s *System) Conns(ctx context.Context) ([]*Conn, error) {
	cs, err := actors.AskControl(ctx, s.peers, func(r actors.Reply[[]*stream.Conn]) messages.Peers {
		return &messages.ListConns{Reply: r}
	})
	return cs, s.explain(ctx, "conns", "", err)
}

// AddAddrs tells the peerstore where a peer may be found, for ttl; 0 means until the node ends.
func (s *System) AddAddrs(peer identity.ID, ttl time.Duration, addresses ...ma.Multiaddr) {
	_ = s.book.Control(&messages.Learn{Peer: peer, Addrs: addresses, TTL: ttl})
}

// KnownPeer is what the peerstore knows of a peer.
type KnownPeer = messages.KnownPeer

// Peer asks the peerstore about a peer.
func (s *System) Peer(ctx context.Context, peer identity.ID) (KnownPeer, error) {
	k, err := actors.AskControl(ctx, s.book, func(r actors.Reply[messages.KnownPeer]) messages.Book {
		return &messages.PeerInfo{Peer: peer, Reply: r}
	})
	return k, s.explain(ctx, "peer", peer, err)
}

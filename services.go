package troupe

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"runtime/debug"
	"slices"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/addrs"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/peers/connset"
	"github.com/troupe-p2p/troupe/protocols/identify"
	"github.com/troupe-p2p/troupe/protocols/ping"

	ma "github.com/multiformats/go-multiaddr"
)

// identifySpec is the service that tells peers who this node is, and learns who they are.
func (s *System) identifySpec(book actors.Ref[messages.Book], peers actors.Ref[messages.Peers]) (actors.Spec, error) {
	announce, err := parseAll("Announce", s.cfg.Announce)
	if err != nil {
		return actors.Spec{}, err
	}
	noAnnounce, err := parseAll("NoAnnounce", s.cfg.NoAnnounce)
	if err != nil {
		return actors.Spec{}, err
	}
	agent := s.cfg.Agent
	if agent == "" {
		agent = "troupe/" + Version()
	}
	return identify.Spec(identify.Config{
		Key: s.cfg.Key, Agent: agent, State: s.identifyState, Book: book, Peers: peers, Hub: s.hub,
		Announce: announce, NoAnnounce: noAnnounce, Interfaces: interfaces, Extra: []string{connset.Rule},
		OnAddrs: func(as []ma.Multiaddr) { s.told.Store(&as) },
		Served:  s.table.IDs, Bound: s.ListenAddrs,
	}), nil
}

func parseAll(field string, texts []string) ([]ma.Multiaddr, error) {
	var out []ma.Multiaddr
	for _, t := range texts {
		a, err := addrs.ParseString(t)
		if err != nil {
			return nil, ErrConfig.with("new", "", fmt.Errorf("Config.%s: %w", field, err))
		}
		out = append(out, a)
	}
	return out, nil
}

// serveBuiltIn registers the protocols that every node speaks.
func (s *System) serveBuiltIn() error {
	hs := identify.Handlers(s.identifyState, s.identify)
	hs[ping.Protocol] = ping.Handler()
	for _, id := range slices.Sorted(maps.Keys(hs)) {
		if err := s.Handle(id, hs[id]); err != nil {
			return err
		}
	}
	return nil
}

// interfaces are the IP addresses of this machine.
func interfaces() []netip.Addr {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var out []netip.Addr
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok {
				out = append(out, ip.Unmap())
			}
		}
	}
	return out
}

// Addrs are the addresses under which the node may be dialled from somewhere: those listened on,
// with unspecified hosts expanded, and Announce, without NoAnnounce. What a peer is told depends
// on where it is.
func (s *System) Addrs() []ma.Multiaddr {
	if p := s.told.Load(); p != nil {
		return *p
	}
	return nil
}

// Ping measures one round trip on a stream that was opened for PingProtocol. Several on one
// stream give better figures than one on each of several.
func (s *System) Ping(ctx context.Context, st *Stream) (time.Duration, error) {
	d, err := ping.Ping(ctx, st, s.rt.Rand(), s.rt.Now)
	return d, s.explain(ctx, "ping", st.Peer(), err)
}

// PingProtocol is libp2p's ping.
const PingProtocol = ping.Protocol

// Version is the version of this module in the program that runs, "(devel)" when it was built
// from a work tree.
func Version() string {
	const module = "github.com/troupe-p2p/troupe"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)"
	}
	if info.Main.Path == module {
		return info.Main.Version
	}
	for _, d := range info.Deps {
		if d.Path == module {
			return d.Version
		}
	}
	return "(unknown)"
}

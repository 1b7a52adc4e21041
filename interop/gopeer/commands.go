package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"

	"github.com/troupe-p2p/troupe/interop/control"
)

type command func(context.Context, control.Request) (control.Reply, error)

func (p *peerProgram) commands() map[string]command {
	return map[string]command{
		control.Connect:    p.connect,
		control.Disconnect: p.disconnect,
		control.Ping:       p.ping,
		control.Echo:       p.echo,
		control.HalfClose:  p.halfClose,
		control.Reset:      p.reset,
		control.Sequence:   p.sequence,
		control.Identify:   p.identify,
		control.Poke:       p.poke,
		control.Hold:       p.hold,
		control.Churn:      p.churn,
		control.Dials:      p.dials,
		control.Perf:       p.perf,
		control.Stats:      p.stats,
	}
}

// reach returns the peer that a request names, connected.
func (p *peerProgram) reach(ctx context.Context, req control.Request) (peer.ID, error) {
	if req.Addr != "" {
		return connect(ctx, p.host, req.Addr)
	}
	id, err := peer.Decode(req.Peer)
	if err != nil {
		return "", fmt.Errorf("neither addr nor peer: %w", err)
	}
	if p.host.Network().Connectedness(id) != network.Connected {
		return "", fmt.Errorf("not connected to %s", id)
	}
	return id, nil
}

func connect(ctx context.Context, h host.Host, addr string) (peer.ID, error) {
	info, err := peer.AddrInfoFromString(addr)
	if err != nil {
		return "", err
	}
	return info.ID, h.Connect(ctx, *info)
}

// open starts a stream on an existing connection; it never dials.
func open(ctx context.Context, h host.Host, id peer.ID, proto string) (network.Stream, error) {
	s, err := h.NewStream(network.WithNoDial(ctx, "the test has connected"), id, protocol.ID(proto))
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = s.SetDeadline(deadline)
	}
	return s, nil
}

func (p *peerProgram) connOf(id peer.ID) *control.Conn {
	conns := p.host.Network().ConnsToPeer(id)
	if len(conns) == 0 {
		return nil
	}
	c := conns[0]
	state := c.ConnState()
	return &control.Conn{
		Local:     c.LocalMultiaddr().String(),
		Remote:    c.RemoteMultiaddr().String(),
		Direction: strings.ToLower(c.Stat().Direction.String()),
		Security:  string(state.Security),
		Muxer:     string(state.StreamMultiplexer),
		Early:     state.UsedEarlyMuxerNegotiation,
		Count:     len(conns),
	}
}

func (p *peerProgram) connect(ctx context.Context, req control.Request) (control.Reply, error) {
	id, err := p.reach(ctx, req)
	if err != nil {
		return control.Reply{}, err
	}
	return control.Reply{Peer: id.String(), Conn: p.connOf(id)}, nil
}

func (p *peerProgram) disconnect(_ context.Context, req control.Request) (control.Reply, error) {
	id, err := peer.Decode(req.Peer)
	if err != nil {
		return control.Reply{}, err
	}
	return control.Reply{}, p.host.Network().ClosePeer(id)
}

func (p *peerProgram) ping(ctx context.Context, req control.Request) (control.Reply, error) {
	id, err := p.reach(ctx, req)
	if err != nil {
		return control.Reply{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := ping.Ping(ctx, p.host, id)
	var rtts []float64
	for range max(req.Count, 1) {
		res, ok := <-results
		if !ok {
			return control.Reply{}, fmt.Errorf("pings ended after %d: %w", len(rtts), context.Cause(ctx))
		}
		if res.Error != nil {
			return control.Reply{}, fmt.Errorf("ping %d: %w", len(rtts)+1, res.Error)
		}
		rtts = append(rtts, millis(res.RTT))
	}
	return control.Reply{Peer: id.String(), Conn: p.connOf(id), RTTs: rtts}, nil
}

// identify waits for the answer of a peer that it knows, or connects anew to hear it.
func (p *peerProgram) identify(ctx context.Context, req control.Request) (control.Reply, error) {
	sub, err := p.host.EventBus().Subscribe(new(event.EvtPeerIdentificationCompleted))
	if err != nil {
		return control.Reply{}, err
	}
	defer func() { _ = sub.Close() }()
	info, err := peer.AddrInfoFromString(req.Addr)
	if err != nil {
		return control.Reply{}, err
	}
	// The event comes once a connection, so an old connection would have nothing to say.
	if err := p.host.Network().ClosePeer(info.ID); err != nil {
		return control.Reply{}, err
	}
	if err := p.host.Connect(ctx, *info); err != nil {
		return control.Reply{}, err
	}
	for {
		select {
		case e := <-sub.Out():
			evt := e.(event.EvtPeerIdentificationCompleted)
			if evt.Peer != info.ID {
				continue
			}
			id, err := identityOf(p.host, evt)
			return control.Reply{Peer: info.ID.String(), Conn: p.connOf(info.ID), Identify: id}, err
		case <-ctx.Done():
			return control.Reply{}, fmt.Errorf("no identify answer: %w", ctx.Err())
		}
	}
}

func identityOf(h host.Host, evt event.EvtPeerIdentificationCompleted) (*control.Identity, error) {
	key := h.Peerstore().PubKey(evt.Peer)
	if key == nil {
		return nil, errors.New("no public key for the identified peer")
	}
	id := &control.Identity{
		Peer:            evt.Peer.String(),
		KeyType:         strings.ToLower(key.Type().String()),
		ProtocolVersion: evt.ProtocolVersion,
		AgentVersion:    evt.AgentVersion,
	}
	for _, proto := range evt.Protocols {
		id.Protocols = append(id.Protocols, string(proto))
	}
	slices.Sort(id.Protocols)
	for _, a := range evt.ListenAddrs {
		id.ListenAddrs = append(id.ListenAddrs, a.String())
	}
	if evt.ObservedAddr != nil {
		id.ObservedAddr = evt.ObservedAddr.String()
	}
	if evt.SignedPeerRecord != nil {
		rec, err := evt.SignedPeerRecord.Record()
		if err != nil {
			return nil, fmt.Errorf("signed peer record: %w", err)
		}
		pr, ok := rec.(*peer.PeerRecord)
		id.SignedRecord = ok && pr.PeerID == evt.Peer && evt.Peer.MatchesPublicKey(evt.SignedPeerRecord.PublicKey)
	}
	return id, nil
}

func (p *peerProgram) stats(context.Context, control.Request) (control.Reply, error) {
	families, err := p.metrics.Gather()
	if err != nil {
		return control.Reply{}, err
	}
	report := &control.StatsReport{
		Goroutines:  runtime.NumGoroutine(),
		Connections: len(p.host.Network().Conns()),
	}
	for _, f := range families {
		if f.GetName() != "libp2p_identify_identify_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "dir" && l.GetValue() == "inbound" {
					report.IdentifySent = int(m.GetCounter().GetValue())
				}
			}
		}
	}
	return control.Reply{Stats: report}, nil
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

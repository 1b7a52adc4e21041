package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"

	"github.com/troupe-p2p/troupe/interop/control"
	"github.com/troupe-p2p/troupe/interop/drive"
)

// Commands implements drive.Node.
func (p *peerProgram) Commands() map[string]drive.Command {
	return map[string]drive.Command{
		control.Disconnect: p.disconnect,
		control.Ping:       p.ping,
		control.Identify:   p.identify,
		control.Churn:      p.churn,
		control.Dials:      p.dials,
		control.Stats:      p.stats,
	}
}

// Reach implements drive.Node.
func (p *peerProgram) Reach(ctx context.Context, addr, known string) (string, error) {
	id, err := p.reach(ctx, addr, known)
	return id.String(), err
}

func (p *peerProgram) reach(ctx context.Context, addr, known string) (peer.ID, error) {
	if addr != "" {
		return connect(ctx, p.host, addr)
	}
	id, err := peer.Decode(known)
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

// Open implements drive.Node.
func (p *peerProgram) Open(ctx context.Context, id, proto string) (drive.Stream, error) {
	remote, err := peer.Decode(id)
	if err != nil {
		return nil, err
	}
	s, err := open(ctx, p.host, remote, proto)
	if err != nil {
		return nil, err // not a Stream with nothing in it
	}
	return s, nil
}

func open(ctx context.Context, h host.Host, id peer.ID, proto string) (foreignStream, error) {
	s, err := h.NewStream(network.WithNoDial(ctx, "the test has connected"), id, protocol.ID(proto))
	return foreignStream{s}, err
}

// foreignStream is go-libp2p's stream as drive wants it.
type foreignStream struct{ network.Stream }

func (s foreignStream) ResetWithCode(code uint32) error {
	return s.ResetWithError(network.StreamErrorCode(code))
}

// RemoteReset implements drive.Node: go-libp2p shows a reset as *network.StreamError.
func (p *peerProgram) RemoteReset(err error) (uint32, bool) {
	var se *network.StreamError
	if errors.As(err, &se) && se.Remote {
		return uint32(se.ErrorCode), true
	}
	return 0, false
}

// Conn implements drive.Node.
func (p *peerProgram) Conn(id string) *control.Conn {
	remote, err := peer.Decode(id)
	if err != nil {
		return nil
	}
	return p.connOf(remote)
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

func (p *peerProgram) disconnect(_ context.Context, req control.Request) (control.Reply, error) {
	id, err := peer.Decode(req.Peer)
	if err != nil {
		return control.Reply{}, err
	}
	return control.Reply{}, p.host.Network().ClosePeer(id)
}

func (p *peerProgram) ping(ctx context.Context, req control.Request) (control.Reply, error) {
	id, err := p.reach(ctx, req.Addr, req.Peer)
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
		rtts = append(rtts, drive.Millis(res.RTT))
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

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"

	"github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/identity"

	"github.com/troupe-p2p/troupe/interop/control"
	"github.com/troupe-p2p/troupe/interop/drive"
)

// Commands implements drive.Node.
func (p *peerProgram) Commands() map[string]drive.Command {
	return map[string]drive.Command{
		control.Disconnect: p.disconnect,
		control.Ping:       p.ping,
		control.Identify:   p.identify,
		control.Stats:      p.stats,
	}
}

// Reach implements drive.Node.
func (p *peerProgram) Reach(ctx context.Context, addr, known string) (string, error) {
	if addr != "" {
		c, err := p.sys.DialAddr(ctx, addr)
		if err != nil {
			return "", err
		}
		return c.Peer.String(), nil
	}
	if p.connOf(ctx, known) == nil {
		return "", fmt.Errorf("not connected to %q", known)
	}
	return known, nil
}

// Open implements drive.Node.
func (p *peerProgram) Open(ctx context.Context, id, protocol string) (drive.Stream, error) {
	peer, err := identity.Decode(id)
	if err != nil {
		return nil, err
	}
	s, err := p.sys.OpenWith(ctx, peer, troupe.OpenOptions{NoDial: true}, protocol)
	if err != nil {
		return nil, err
	}
	return ourStream{s.Blocking()}, nil
}

// ourStream is Troupe's stream as drive wants it.
type ourStream struct{ *troupe.Stream }

func (s ourStream) ResetWithCode(code uint32) error { return s.Reset(code) }

// RemoteReset implements drive.Node.
func (p *peerProgram) RemoteReset(err error) (uint32, bool) {
	var e *troupe.Error
	if errors.Is(err, troupe.ErrReset) && errors.As(err, &e) && e.Origin == troupe.OriginRemote {
		return e.Wire, true
	}
	return 0, false
}

// Conn implements drive.Node.
func (p *peerProgram) Conn(id string) *control.Conn {
	conns := p.connsOf(context.Background(), id)
	if len(conns) == 0 {
		return nil
	}
	c := conns[0]
	return &control.Conn{
		Local:     c.Local.String(),
		Remote:    c.Remote.String(),
		Direction: c.Direction.String(),
		Security:  c.Security,
		Muxer:     c.Muxer,
		Early:     c.Early,
		Count:     len(conns),
	}
}

func (p *peerProgram) connsOf(ctx context.Context, id string) []*troupe.Conn {
	all, err := p.sys.Conns(ctx)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(all, func(c *troupe.Conn) bool { return c.Peer.String() != id })
}

func (p *peerProgram) connOf(ctx context.Context, id string) *troupe.Conn {
	conns := p.connsOf(ctx, id)
	if len(conns) == 0 {
		return nil
	}
	return conns[0]
}

func (p *peerProgram) disconnect(_ context.Context, req control.Request) (control.Reply, error) {
	peer, err := identity.Decode(req.Peer)
	if err != nil {
		return control.Reply{}, err
	}
	p.sys.Disconnect(peer)
	return control.Reply{}, nil
}

func (p *peerProgram) ping(ctx context.Context, req control.Request) (control.Reply, error) {
	id, err := p.Reach(ctx, req.Addr, req.Peer)
	if err != nil {
		return control.Reply{}, err
	}
	peer, err := identity.Decode(id)
	if err != nil {
		return control.Reply{}, err
	}
	s, err := p.sys.Open(ctx, peer, troupe.PingProtocol)
	if err != nil {
		return control.Reply{}, err
	}
	r := control.Reply{Peer: id}
	for range max(req.Count, 1) {
		rtt, err := p.sys.Ping(ctx, s)
		if err != nil {
			return r, errors.Join(fmt.Errorf("ping %d: %w", len(r.RTTs)+1, err), s.Reset(0))
		}
		r.RTTs = append(r.RTTs, drive.Millis(rtt))
	}
	r.Conn = p.Conn(id)
	return r, s.Close()
}

// identify tells what the node has learnt of a peer on a connection of its own accord.
func (p *peerProgram) identify(ctx context.Context, req control.Request) (control.Reply, error) {
	id, err := p.Reach(ctx, req.Addr, req.Peer)
	if err != nil {
		return control.Reply{}, err
	}
	conn := p.connOf(ctx, id)
	if conn == nil {
		return control.Reply{}, errors.New("the connection is gone")
	}
	event, err := p.waitIdentified(ctx, conn.ID)
	if err != nil {
		return control.Reply{}, err
	}
	known, err := p.sys.Peer(ctx, conn.Peer)
	if err != nil {
		return control.Reply{}, err
	}
	who := &control.Identity{
		Peer:            event.Peer.String(),
		KeyType:         strings.ToLower(conn.Key.Type().String()),
		ProtocolVersion: known.Version,
		AgentVersion:    event.Agent,
		Protocols:       slices.Sorted(slices.Values(event.Protocols)),
	}
	for _, a := range known.Addrs {
		who.ListenAddrs = append(who.ListenAddrs, a.String())
	}
	if len(known.Record) > 0 {
		rec, signer, err := identity.OpenPeerRecord(known.Record)
		who.SignedRecord = err == nil && rec.ID == conn.Peer && conn.Peer.MatchesKey(signer)
	}
	return control.Reply{Peer: id, Conn: p.Conn(id), Identify: who}, nil
}

func (p *peerProgram) waitIdentified(ctx context.Context, conn uint64) (troupe.Event, error) {
	for {
		p.mu.Lock()
		event, ok := p.heard[conn]
		more := p.more
		p.mu.Unlock()
		if ok {
			return event, nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return troupe.Event{}, fmt.Errorf("no identify answer: %w", ctx.Err())
		}
	}
}

func (p *peerProgram) stats(ctx context.Context, _ control.Request) (control.Reply, error) {
	conns, err := p.sys.Conns(ctx)
	return control.Reply{Stats: &control.StatsReport{
		Goroutines: runtime.NumGoroutine(), Connections: len(conns),
	}}, err
}

func serveReset(_ context.Context, s *troupe.Stream) {
	var code [4]byte
	if _, err := io.ReadFull(s, code[:]); err != nil {
		_ = s.Reset(0)
		return
	}
	_ = s.Reset(binary.BigEndian.Uint32(code[:]))
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/addrs"
	"github.com/troupe-p2p/troupe/identity"

	ma "github.com/multiformats/go-multiaddr"
)

// pinger is one run of ping.
type pinger struct {
	pingFlags
	addr ma.Multiaddr
	peer identity.ID // "": whoever answers
	cfg  troupe.Config
	out  *output

	sys  *troupe.System
	conn *troupe.Conn
	st   *troupe.Stream
	rtts []time.Duration
	sent int
}

// run pings. The last line on stdout is the summary, also after a failure.
func (p *pinger) run(ctx context.Context, stderr io.Writer) error {
	if p.identity != "" {
		k, _, err := ensureKey(p.identity, stderr)
		if err != nil {
			return err
		}
		p.cfg.Key = k
	}
	sys, err := troupe.New(p.cfg)
	if err != nil {
		return err
	}
	p.sys = sys
	defer p.close()
	if err = p.connect(ctx); err == nil {
		err = p.rounds(ctx)
	}
	p.summary()
	return errors.Join(err, p.out.Err())
}

// closeWait is how long a ping says goodbye.
const closeWait = 2 * time.Second

func (p *pinger) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	_ = p.sys.Close(ctx)
}

func (p *pinger) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	conn, err := p.sys.Dial(ctx, p.peer, p.addr)
	if err != nil {
		return err
	}
	p.conn, p.peer = conn, conn.Peer
	p.out.tell("ping %s at %s (%s)", conn.Peer, p.addr, carried(conn))
	return p.open(ctx)
}

// open opens the stream, over a new connection if the old one is gone. It waits for the peer's
// agreement, so that this is not part of the first round trip.
func (p *pinger) open(ctx context.Context) error {
	st, err := p.sys.OpenWith(ctx, p.peer, troupe.OpenOptions{Addrs: []ma.Multiaddr{p.addr}, Confirm: true}, troupe.PingProtocol)
	if err != nil {
		return err
	}
	p.st = st.Blocking()
	return nil
}

// rounds sends the pings. Its error is that not all came back.
func (p *pinger) rounds(ctx context.Context) error {
	next := time.NewTimer(0)
	defer next.Stop()
	for seq := 1; p.count == 0 || seq <= p.count; seq++ {
		select {
		case <-ctx.Done():
		case <-next.C:
		}
		if ctx.Err() != nil {
			break
		}
		next.Reset(p.interval)
		p.sent++
		rtt, err := p.round(ctx)
		if err != nil {
			if ctx.Err() != nil { // interrupted while this one was under way
				p.sent--
				break
			}
			p.out.say(lostLine{"lost", seq, err.Error()}, "lost %d: %s", seq, plain(err.Error()))
			continue
		}
		p.rtts = append(p.rtts, rtt)
		p.out.say(pongLine{"pong", seq, milliseconds(rtt)}, "pong %d  %.3f ms", seq, milliseconds(rtt))
	}
	switch {
	case len(p.rtts) < p.sent:
		return fmt.Errorf("remote: %d of %d pings did not come back", p.sent-len(p.rtts), p.sent)
	case p.sent < p.count || p.sent == 0:
		return fmt.Errorf("local: interrupted after %d pings", p.sent)
	}
	return nil
}

// round is one ping. After an error its stream is of no use any more.
func (p *pinger) round(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	if p.st == nil {
		if err := p.open(ctx); err != nil {
			return 0, err
		}
	}
	rtt, err := p.sys.Ping(ctx, p.st)
	if err != nil {
		_ = p.st.Reset(0)
		p.st = nil
	}
	return rtt, err
}

func (p *pinger) summary() {
	l := summaryLine{Event: "summary", Sent: p.sent, Received: len(p.rtts)}
	if p.peer != "" {
		l.Peer = p.peer.String()
	}
	text := fmt.Sprintf("%d of %d came back", l.Received, l.Sent)
	if n := len(p.rtts); n > 0 {
		slices.Sort(p.rtts)
		p50, most := milliseconds(p.rtts[(n-1)/2]), milliseconds(p.rtts[n-1])
		l.P50, l.Max = &p50, &most
		text += fmt.Sprintf(": p50 %.3f ms, max %.3f ms", p50, most)
	}
	if c := p.conn; c != nil {
		l.Transport, l.Security, l.Muxer = addrs.Transport(c.Remote), c.Security, c.Muxer
	}
	p.out.say(l, "%s", text)
}

package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"

	"github.com/troupe-p2p/troupe/interop/control"
	"github.com/troupe-p2p/troupe/interop/drive"
)

// latencies gathers the outcome of many attempts.
type latencies struct {
	mu   sync.Mutex
	ok   []float64
	errs map[string]int
	bad  int
}

func (l *latencies) add(d time.Duration, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.bad++
		drive.Count(&l.errs, err.Error())
		return
	}
	l.ok = append(l.ok, drive.Millis(d))
}

func (l *latencies) summary() *control.DialSummary {
	slices.Sort(l.ok)
	s := &control.DialSummary{OK: len(l.ok), Failed: l.bad, Errors: l.errs}
	if n := len(l.ok); n > 0 {
		s.P50, s.P99, s.Max = l.ok[n/2], l.ok[min(n-1, n*99/100)], l.ok[n-1]
	}
	return s
}

// churn lets every worker be a node of its own, so that each round is a connection of its own.
func (p *peerProgram) churn(ctx context.Context, req control.Request) (control.Reply, error) {
	var l latencies
	rounds := make(chan struct{})
	var workers sync.WaitGroup
	var hostErr error
	for range req.Concurrency {
		h, err := newHost(hostConfig{Security: p.cfg.Security, Key: p.cfg.Key, NoEarly: p.cfg.NoEarly})
		if err != nil {
			hostErr = err
			break
		}
		workers.Go(func() {
			defer func() { _ = h.Close() }()
			for range rounds {
				start := time.Now()
				err := churnOnce(ctx, h, req)
				l.add(time.Since(start), err)
			}
		})
	}
	if hostErr == nil {
		for range req.Count {
			rounds <- struct{}{}
		}
	}
	close(rounds)
	workers.Wait()
	return control.Reply{Dials: l.summary()}, hostErr
}

func churnOnce(ctx context.Context, h host.Host, req control.Request) error {
	id, err := dialAnew(ctx, h, req.Addr)
	if err != nil {
		return err
	}
	err = echoOn(ctx, h, id, req)
	return errors.Join(err, h.Network().ClosePeer(id))
}

func echoOn(ctx context.Context, h host.Host, id peer.ID, req control.Request) error {
	s, err := open(ctx, h, id, req.Protocol)
	if err != nil {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = s.SetDeadline(deadline)
	}
	return drive.EchoOnce(s, max(req.Bytes, 1))
}

// honestDialTimeout is when an honest peer gives up; a dial that takes this long has failed.
const honestDialTimeout = 5 * time.Second

// dials connects like an honest peer does: one connection after the other, each of them used.
func (p *peerProgram) dials(ctx context.Context, req control.Request) (control.Reply, error) {
	var l latencies
	tick := time.NewTicker(time.Duration(max(req.IntervalMS, 1)) * time.Millisecond)
	defer tick.Stop()
	for range req.Count {
		dialCtx, cancel := context.WithTimeout(ctx, honestDialTimeout)
		start := time.Now()
		id, err := dialAnew(dialCtx, p.host, req.Addr)
		took := time.Since(start)
		if err == nil {
			err = errors.Join(
				echoOn(dialCtx, p.host, id, req),
				p.host.Network().ClosePeer(id))
		}
		cancel()
		l.add(took, err)
		<-tick.C
	}
	return control.Reply{Dials: l.summary()}, nil
}

// dialAnew connects without the memory of an earlier failure: go-libp2p would refuse to try a
// peer again for some seconds.
func dialAnew(ctx context.Context, h host.Host, addr string) (peer.ID, error) {
	info, err := peer.AddrInfoFromString(addr)
	if err != nil {
		return "", err
	}
	if s, ok := h.Network().(*swarm.Swarm); ok {
		s.Backoff().Clear(info.ID)
	}
	return info.ID, h.Connect(ctx, *info)
}

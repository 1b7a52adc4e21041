package main

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-p2p/troupe/interop/control"
)

// silent fills the victim's half-open slots: each worker keeps one mute connection up.
func silent(ctx context.Context, a attack) (control.Hostile, error) {
	host, port, _, err := target(a.addr)
	if err != nil {
		return control.Hostile{}, err
	}
	var seen struct{ dials, refused, closed, open atomic.Int64 }
	var first, workers sync.WaitGroup
	first.Add(a.conns)
	for i := range a.conns {
		workers.Go(func() {
			dialer := net.Dialer{LocalAddr: source(i, a.sources), Control: shareEphemeralPorts}
			tried := sync.OnceFunc(first.Done)
			defer tried()
			for ctx.Err() == nil {
				c, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(host, port))
				if err != nil {
					if ctx.Err() == nil {
						seen.refused.Add(1)
					}
				} else {
					seen.dials.Add(1)
					seen.open.Add(1)
				}
				tried()
				if err == nil && holdMute(ctx, c) {
					seen.closed.Add(1)
					seen.open.Add(-1)
				}
				pause(ctx, a.redial)
			}
		})
	}
	first.Wait()
	ready()
	workers.Wait()
	return control.Hostile{
		Dials:    int(seen.dials.Load()),
		Refused:  int(seen.refused.Load()),
		ClosedBy: int(seen.closed.Load()),
		Open:     int(seen.open.Load()),
	}, nil
}

// holdMute waits until the victim closes c and says whether it did. What the victim sends is
// taken, so that its greeting does not pile up and give it another reason.
func holdMute(ctx context.Context, c net.Conn) bool {
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	p := make([]byte, 256)
	for {
		if _, err := c.Read(p); err != nil {
			_ = c.Close()
			return ctx.Err() == nil
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// source gives connection i one of n addresses, each in a /24 of its own and many in a /16 of
// their own, so that no grouping by prefix makes one attacker of them. Honest dials come from
// 127.0.0.1, which is none of them.
func source(i, n int) net.Addr {
	if n <= 1 {
		return &net.TCPAddr{IP: net.IPv4(127, 66, 0, 1)}
	}
	i %= n
	return &net.TCPAddr{IP: net.IPv4(127, byte(10+i%200), byte(1+i/200%250), 9)}
}

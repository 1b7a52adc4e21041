package drive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/troupe-p2p/troupe/bench/control"
)

func (d *driver) hold(ctx context.Context, req control.Request) (control.Reply, error) {
	for range req.Streams {
		s, err := d.node.Open(ctx, req.Peer, control.HoldProtocol)
		if err != nil {
			return control.Reply{}, err
		}
		var b [1]byte
		if _, err := s.Write(b[:]); err != nil {
			return control.Reply{}, err
		}
		if _, err := io.ReadFull(s, b[:]); err != nil {
			return control.Reply{}, err
		}
		d.mu.Lock()
		d.held = append(d.held, s)
		d.mu.Unlock()
	}
	return control.Reply{Count: req.Streams}, nil
}

// gather makes a crowd of nodes, each with one connection: one peer may not stand for many.
func (d *driver) gather(ctx context.Context, req control.Request) (control.Reply, error) {
	const atOnce = 8
	todo := make(chan struct{}, req.Count)
	for range req.Count {
		todo <- struct{}{}
	}
	close(todo)
	var mu sync.Mutex
	var failed error
	var workers sync.WaitGroup
	began := time.Now()
	for range atOnce {
		workers.Go(func() {
			for range todo {
				n, err := d.makeNode(Config{Security: d.cfg.Security, Crowd: true})
				if err == nil {
					_, err = n.Connect(ctx, req.Addr)
				}
				mu.Lock()
				if err != nil {
					failed = err
				} else {
					d.crowd = append(d.crowd, n)
				}
				stop := failed != nil
				mu.Unlock()
				if stop {
					return
				}
			}
		})
	}
	workers.Wait()
	if failed != nil {
		return control.Reply{}, fmt.Errorf("with %d in the crowd: %w", len(d.crowd), failed)
	}
	return control.Reply{Seconds: time.Since(began).Seconds(), Count: len(d.crowd)}, nil
}

func (d *driver) pingBack(ctx context.Context, req control.Request) (control.Reply, error) {
	peers, err := d.node.Peers()
	if err != nil {
		return control.Reply{}, err
	}
	if len(peers) < req.Count {
		return control.Reply{}, fmt.Errorf("%d peers are connected, fewer than %d", len(peers), req.Count)
	}
	slices.Sort(peers)
	t := &tally{began: time.Now()}
	for i := range req.Count {
		start := time.Now()
		s, err := d.node.Open(ctx, peers[i*len(peers)/req.Count], control.PingProtocol)
		if err == nil {
			err = errors.Join(pingOn(s), s.Close())
		}
		t.add(time.Since(start), err)
	}
	return t.reply()
}

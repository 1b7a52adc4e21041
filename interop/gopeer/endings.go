package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/troupe-p2p/troupe/interop/control"
)

// tally counts endings from many streams at once.
type tally struct {
	mu sync.Mutex
	e  control.Endings
}

// maxKinds bounds the report when every stream fails in words of its own.
const maxKinds = 8

func (t *tally) opened() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.e.Opened++
}

// ended files an ending: go-libp2p shows a remote's reset as *network.StreamError with Remote.
func (t *tally) ended(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var se *network.StreamError
	switch {
	case err == nil, errors.Is(err, io.EOF):
		t.e.EOF++
	case errors.As(err, &se) && se.Remote:
		count(&t.e.RemoteReset, fmt.Sprintf("0x%x", uint32(se.ErrorCode)))
	default:
		count(&t.e.Other, err.Error())
	}
}

func count(m *map[string]int, key string) {
	if *m == nil {
		*m = map[string]int{}
	}
	if len(*m) >= maxKinds && (*m)[key] == 0 {
		key = "others"
	}
	(*m)[key]++
}

// poke provokes a handler on many streams and hears how each of them ends.
func (p *peerProgram) poke(ctx context.Context, req control.Request) (control.Reply, error) {
	id, err := p.reach(ctx, req)
	if err != nil {
		return control.Reply{}, err
	}
	conns := p.host.Network().ConnsToPeer(id)
	var t tally
	var running sync.WaitGroup
	slots := make(chan struct{}, req.Concurrency)
	bait := bytes.Repeat([]byte{1}, int(max(req.Bytes, 1)))
	for range req.Count {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			s, err := open(ctx, p.host, id, req.Protocol)
			if err != nil {
				t.ended(err)
				return
			}
			t.opened()
			// A handler that falls quickly may reset while we write; the read tells how.
			_, _ = s.Write(bait)
			_, err = io.Copy(io.Discard, s)
			t.ended(err)
			_ = s.Reset()
		})
	}
	running.Wait()
	t.e.ConnAlive = len(conns) > 0 && !conns[0].IsClosed()
	return control.Reply{Peer: id.String(), Conn: p.connOf(id), Endings: &t.e}, nil
}

// hold leaves its streams open; they end with the connection or the program.
func (p *peerProgram) hold(ctx context.Context, req control.Request) (control.Reply, error) {
	id, err := p.reach(ctx, req)
	if err != nil {
		return control.Reply{}, err
	}
	var t tally
	for range req.Count {
		s, err := p.host.NewStream(network.WithNoDial(ctx, "the test has connected"), id, protocol.ID(req.Protocol))
		if err == nil {
			_, err = s.Write([]byte{1})
		}
		if err != nil {
			t.ended(err)
			continue
		}
		t.opened()
	}
	conns := p.host.Network().ConnsToPeer(id)
	t.e.ConnAlive = len(conns) > 0 && !conns[0].IsClosed()
	return control.Reply{Peer: id.String(), Conn: p.connOf(id), Endings: &t.e}, nil
}

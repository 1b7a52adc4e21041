package drive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/troupe-p2p/troupe/interop/control"
)

// tally counts endings from many streams at once.
type tally struct {
	node Node
	mu   sync.Mutex
	e    control.Endings
}

// maxKinds bounds the report when every stream fails in words of its own.
const maxKinds = 8

func (t *tally) opened() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.e.Opened++
}

// ended files an ending.
func (t *tally) ended(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	code, reset := t.node.RemoteReset(err)
	switch {
	case err == nil, errors.Is(err, io.EOF):
		t.e.EOF++
	case reset:
		Count(&t.e.RemoteReset, fmt.Sprintf("0x%x", code))
	default:
		Count(&t.e.Other, err.Error())
	}
}

// Count adds to a tally by text.
func Count(m *map[string]int, key string) {
	if *m == nil {
		*m = map[string]int{}
	}
	if len(*m) >= maxKinds && (*m)[key] == 0 {
		key = "others"
	}
	(*m)[key]++
}

// poke provokes a handler on many streams and hears how each of them ends.
func (d *driver) poke(ctx context.Context, req control.Request) (control.Reply, error) {
	id, err := d.node.Reach(ctx, req.Addr, req.Peer)
	if err != nil {
		return control.Reply{}, err
	}
	before := d.node.Conn(id)
	t := tally{node: d.node}
	var running sync.WaitGroup
	slots := make(chan struct{}, req.Concurrency)
	bait := bytes.Repeat([]byte{1}, int(max(req.Bytes, 1)))
	for range req.Count {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			s, err := d.open(ctx, id, req.Protocol)
			if err != nil {
				t.ended(err)
				return
			}
			t.opened()
			// A handler that falls quickly may reset while we write; the read tells how.
			_, _ = s.Write(bait)
			_, err = io.Copy(io.Discard, s)
			t.ended(err)
			_ = s.ResetWithCode(0)
		})
	}
	running.Wait()
	return d.endings(id, before, &t), nil
}

// hold leaves its streams open; they end with the connection or the program.
func (d *driver) hold(ctx context.Context, req control.Request) (control.Reply, error) {
	id, err := d.node.Reach(ctx, req.Addr, req.Peer)
	if err != nil {
		return control.Reply{}, err
	}
	before := d.node.Conn(id)
	t := tally{node: d.node}
	for range req.Count {
		s, err := d.node.Open(ctx, id, req.Protocol)
		if err == nil {
			_, err = s.Write([]byte{1})
		}
		if err != nil {
			t.ended(err)
			continue
		}
		t.opened()
	}
	return d.endings(id, before, &t), nil
}

func (d *driver) endings(id string, before *control.Conn, t *tally) control.Reply {
	r := d.reply(id)
	t.e.ConnAlive = before != nil && r.Conn != nil && *before == *r.Conn
	r.Endings = &t.e
	return r
}

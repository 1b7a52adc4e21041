package troupe_test

import (
	"context"
	"sync"
	"sync/atomic"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

// adapter stands between a node and one of its transports: it counts, and fails when it is told.
type adapter struct {
	conduit.Transport
	dials atomic.Int64

	mu        sync.Mutex
	listeners []*adapterListener
}

// use puts the adapter in front of the node's first transport, TCP if there is none.
func (a *adapter) use(c *troupe.Config) {
	inner := troupe.Transport(troupe.TCP)
	if len(c.Transports) > 0 {
		inner = c.Transports[0]
	}
	c.Transports = []troupe.Transport{func(rt *actors.Runtime) (conduit.Transport, error) {
		t, err := inner(rt)
		a.Transport = t
		return a, err
	}}
}

func (a *adapter) Dial(ctx context.Context, to ma.Multiaddr, expect identity.ID, done func(conduit.Conduit, error)) {
	a.dials.Add(1)
	a.Transport.Dial(ctx, to, expect, done)
}

func (a *adapter) Listen(at ma.Multiaddr, sink conduit.AcceptSink) (conduit.Listener, error) {
	l, err := a.Transport.Listen(at, sink)
	if err != nil {
		return nil, err
	}
	al := &adapterListener{l, sink}
	a.mu.Lock()
	a.listeners = append(a.listeners, al)
	a.mu.Unlock()
	return al, nil
}

// fail ends the newest listener as the operating system would.
func (a *adapter) fail(why error) {
	a.mu.Lock()
	l := a.listeners[len(a.listeners)-1]
	a.mu.Unlock()
	_ = l.Close()
	l.sink.Failed(why)
}

type adapterListener struct {
	conduit.Listener
	sink conduit.AcceptSink
}

// Join tells the transport whose it is, if it asks.
func (a *adapter) Join(n conduit.Node) error {
	if m, ok := a.Transport.(conduit.Member); ok {
		return m.Join(n)
	}
	return nil
}

// RawOnly makes a byte stream of a byte stream.
func (a *adapter) RawOnly() bool {
	r, ok := a.Transport.(conduit.RawOnly)
	return ok && r.RawOnly()
}

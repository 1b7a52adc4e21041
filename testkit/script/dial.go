package script

import (
	"context"
	"sync"
	"testing"

	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

// Dial connects a peer to a.
func Dial(t testing.TB, d Driver, tr conduit.Transport, a ma.Multiaddr, cfg Config) *Peer {
	t.Helper()
	var r meeting
	tr.Dial(context.Background(), a, "", func(c conduit.Conduit, err error) { r.add(d, c, err) })
	c, err := r.wait(d, cfg)
	if err != nil {
		t.Fatalf("dialling %s: %v", a, err)
	}
	return from(t, d, c, cfg)
}

// Listener waits for the connections that a node makes.
type Listener struct {
	t    testing.TB
	d    Driver
	cfg  Config
	r    meeting
	addr ma.Multiaddr
}

// Listen makes a place where nodes can dial peers. It is closed with the test.
func Listen(t testing.TB, d Driver, tr conduit.Transport, at ma.Multiaddr, cfg Config) *Listener {
	t.Helper()
	l := &Listener{t: t, d: d, cfg: cfg}
	bound, err := tr.Listen(at, accepting{l})
	if err != nil {
		t.Fatalf("listening on %s: %v", at, err)
	}
	l.addr = bound.Addr()
	t.Cleanup(func() {
		_ = bound.Close()
		l.r.abandon()
	})
	return l
}

// Addr is the address as bound.
func (l *Listener) Addr() ma.Multiaddr { return l.addr }

// Accept waits for the next connection.
func (l *Listener) Accept(reason string) *Peer {
	l.t.Helper()
	c, err := l.r.wait(l.d, l.cfg)
	if err != nil {
		l.t.Fatalf("%s: wanted a connection: %v", reason, err)
	}
	return from(l.t, l.d, c, l.cfg)
}

func from(t testing.TB, d Driver, c conduit.Conduit, cfg Config) *Peer {
	t.Helper()
	if c.Raw == nil {
		c.Abandon()
		t.Fatal("a script needs a Raw conduit")
	}
	return New(t, d, c.Raw, cfg)
}

type accepting struct{ l *Listener }

func (a accepting) Accepted(c conduit.Conduit) { a.l.r.add(a.l.d, c, nil) }
func (a accepting) Failed(err error)           { a.l.r.add(a.l.d, conduit.Conduit{}, err) }
func (accepting) Degraded(error)               {}

// meeting is where connections wait for the test.
type meeting struct {
	mu  sync.Mutex
	all []met
}

type met struct {
	c   conduit.Conduit
	err error
}

func (m *meeting) add(d Driver, c conduit.Conduit, err error) {
	m.mu.Lock()
	m.all = append(m.all, met{c, err})
	m.mu.Unlock()
	if w, ok := d.(waker); ok {
		w.Wake()
	}
}

func (m *meeting) wait(d Driver, cfg Config) (conduit.Conduit, error) {
	limit := cfg.Patience
	if limit <= 0 {
		limit = defaultPatience
	}
	var first met
	if !d.RunUntil(func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		if len(m.all) == 0 {
			return false
		}
		first, m.all = m.all[0], m.all[1:]
		return true
	}, limit) {
		return conduit.Conduit{}, errNobody
	}
	return first.c, first.err
}

func (m *meeting) abandon() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, x := range m.all {
		x.c.Abandon()
	}
}

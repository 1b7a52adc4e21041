package tls

import (
	"context"
	stdtls "crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/identity"
)

var now = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

const yamux, mplex = "/yamux/1.0.0", "/mplex/6.7.0"

func newKey(t testing.TB, kind identity.KeyType, seed byte) identity.PrivateKey {
	t.Helper()
	key, err := identity.GenerateKey(kind, rand.NewChaCha8([32]byte{seed}))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newIdentity(t testing.TB, kind identity.KeyType, seed byte) *Identity {
	t.Helper()
	id, err := NewIdentity(newKey(t, kind, seed), now)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// end is one end of a connection in a test: a Handshake of ours, or crypto/tls as others set it up.
type end struct {
	feed   func([]byte) error
	take   func([]byte) []byte
	close  func(error)
	run    func() error
	wake   chan struct{}
	done   chan error
	err    error
	result *Result      // of ours
	conn   *stdtls.Conn // of others
	queues *queues
	sent   []byte // everything that this end has sent
}

func newEnd() *end { return &end{wake: make(chan struct{}, 1), done: make(chan error, 1)} }

func (e *end) wakeUp() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// ours is an end that is this package's.
func ours(t testing.TB, cfg Config) *end {
	t.Helper()
	e := newEnd()
	cfg.Wake = e.wakeUp
	h, err := NewHandshake(cfg)
	if err != nil {
		t.Fatal(err)
	}
	e.feed, e.take, e.close, e.queues = h.Feed, h.TakeOutput, h.Close, h.queues
	e.run = func() error {
		r, err := h.Run(context.Background())
		e.result = r
		return err
	}
	return e
}

// other is an end as another implementation might be.
func other(server bool, cfg *stdtls.Config) *end {
	e := newEnd()
	q := newQueues(e.wakeUp)
	e.conn = stdtls.Client(q, cfg)
	if server {
		e.conn = stdtls.Server(q, cfg)
	}
	e.feed, e.take, e.close, e.queues = q.feed, q.take, q.abort, q
	e.run = func() error {
		err := e.conn.HandshakeContext(context.Background())
		if err == nil {
			q.settle()
		}
		return err
	}
	return e
}

// link is the way between two ends.
type link struct {
	client, server *end
	size           int                                    // bytes given at a time; 0: all there are
	alter          func(fromClient bool, p []byte) []byte // what the network does
}

// handshake runs both ends until each has its outcome.
func (l *link) handshake() {
	for _, e := range []*end{l.client, l.server} {
		go func() { e.done <- e.run() }()
	}
	pending := 2
	for pending > 0 {
		select {
		case <-l.client.wake:
		case <-l.server.wake:
		case err := <-l.client.done:
			l.client.err, pending = err, pending-1
		case err := <-l.server.done:
			l.server.err, pending = err, pending-1
		}
		l.move(l.client, l.server, true)
		l.move(l.server, l.client, false)
		if l.stalled(pending) {
			l.client.close(errStalled)
			l.server.close(errStalled)
		}
		// Who has failed closes the connection, after an alert.
		if l.client.err != nil {
			l.server.close(io.ErrUnexpectedEOF)
		}
		if l.server.err != nil {
			l.client.close(io.ErrUnexpectedEOF)
		}
	}
}

var errStalled = errors.New("both ends wait for each other")

// stalled stands for the deadline that the owner of a connection has: nobody who still runs can go
// on, because all of them wait and nothing is under way.
func (l *link) stalled(running int) bool {
	waiting := 0
	for _, e := range []*end{l.client, l.server} {
		if e.queues.hungry() {
			waiting++
		}
	}
	return running > 0 && waiting == running && l.client.queues.pending()+l.server.queues.pending() == 0
}

func (l *link) move(from, to *end, fromClient bool) {
	p := from.take(nil)
	from.sent = append(from.sent, p...)
	if l.alter != nil && len(p) > 0 {
		p = l.alter(fromClient, p)
	}
	for len(p) > 0 {
		n := len(p)
		if l.size > 0 {
			n = min(l.size, n)
		}
		if err := to.feed(p[:n]); err != nil {
			return
		}
		p = p[n:]
	}
}

func connect(t testing.TB, client, server *end) {
	t.Helper()
	(&link{client: client, server: server}).handshake()
	if client.err != nil || server.err != nil {
		t.Fatalf("client: %v, server: %v", client.err, server.err)
	}
}

func config(t testing.TB, server bool, seed byte) Config {
	return Config{Server: server, Identity: newIdentity(t, identity.Ed25519, seed), Now: now, Muxers: []string{yamux}}
}

// openAll feeds wire in pieces and returns the plaintext.
func openAll(o *Opener, wire []byte, size int) ([]byte, error) {
	var got []byte
	next := func() error {
		for {
			p, ok, err := o.Next()
			if err != nil || !ok {
				return err
			}
			got = append(got, p...)
		}
	}
	if err := next(); err != nil {
		return got, err
	}
	for len(wire) > 0 {
		piece := append([]byte(nil), wire[:min(size, len(wire))]...)
		wire = wire[len(piece):]
		o.Feed(piece)
		if err := next(); err != nil {
			return got, err
		}
		for i := range piece {
			piece[i] = 0xdb // the loan is over
		}
	}
	return got, nil
}

func exchange(seal *Sealer, open *Opener, text string) error {
	wire, err := seal.Seal(nil, []byte(text))
	if err != nil {
		return err
	}
	got, err := openAll(open, wire, len(wire))
	if err != nil || string(got) != text {
		return fmt.Errorf("sent %q, got %q: %w", text, got, errors.Join(err))
	}
	return nil
}

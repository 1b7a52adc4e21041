package script

import (
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// Config of a peer. The zero value works.
type Config struct {
	// Name shows in failures, and is what the peer's randomness is made of. Default "peer".
	Name string
	// Patience is how long a Want waits by the driver's clock. Default one minute, which is
	// more than any handshake may take.
	Patience time.Duration
	// Deaf makes the peer stalled from the start: it reads one buffer and then nothing.
	Deaf bool
}

// Peer is one end of a connection that the test speaks for. It belongs to the test's goroutine.
// What the peer embeds is the connection's channel: bytes first, plaintext once Noise is done.
type Peer struct {
	Channel
	t    testing.TB
	d    Driver
	cfg  Config
	raw  conduit.Raw
	rand *rand.ChaCha8

	// mu guards what the conduit's own goroutine changes too, that of all channels included.
	mu       sync.Mutex
	log      []string
	since    time.Time
	out      []byte // not given to the conduit yet
	draining bool
	writeErr error
	stalled  bool
	owed     int // credits that the conduit gets back with Resume
	open     conduit.Opener
	seal     conduit.Sealer
	mux      *Mux
}

var _ conduit.Sink = (*sink)(nil)

// New makes the test the owner of raw, which is closed with the test.
func New(t testing.TB, d Driver, raw conduit.Raw, cfg Config) *Peer {
	t.Helper()
	if cfg.Name == "" {
		cfg.Name = "peer"
	}
	if cfg.Patience <= 0 {
		cfg.Patience = defaultPatience
	}
	p := &Peer{t: t, d: d, cfg: cfg, raw: raw, rand: rand.NewChaCha8(sha256.Sum256([]byte(cfg.Name))), since: d.Now(), stalled: cfg.Deaf}
	p.Channel = Channel{p: p, label: cfg.Name, write: p.send}
	t.Cleanup(p.Close)
	raw.Bind(&sink{p}, 1)
	return p
}

// Conduit is the connection below.
func (p *Peer) Conduit() conduit.Raw { return p.raw }

// Rand is the peer's own randomness: the same for the same name.
func (p *Peer) Rand() io.Reader { return p.rand }

// Now is the driver's time.
func (p *Peer) Now() time.Time { return p.d.Now() }

// Stall makes the peer stop reading: at most one buffer more comes in.
func (p *Peer) Stall() {
	p.mu.Lock()
	p.stalled = true
	p.note("-- stops reading")
	p.mu.Unlock()
}

// Resume makes it read on.
func (p *Peer) Resume() {
	p.mu.Lock()
	n := p.owed
	p.stalled, p.owed = false, 0
	p.note("-- reads on")
	p.mu.Unlock()
	for range n {
		p.raw.More()
	}
}

// Close ends the connection at once, both ways.
func (p *Peer) Close() {
	p.mu.Lock()
	if c, ok := p.open.(interface{ Close() }); ok {
		c.Close()
	}
	p.note("-- closes")
	p.mu.Unlock()
	_ = p.raw.Close()
}

// WantSent waits until the conduit has taken all that was sent. A remote that does not read makes
// that fail.
func (p *Peer) WantSent(reason string) {
	p.t.Helper()
	if !p.run(func() bool { return p.writeErr != nil || len(p.out) == 0 && !p.draining }) {
		p.fail(reason, "the remote to take what was sent", nil, "it does not")
	}
	p.mu.Lock()
	err := p.writeErr
	p.mu.Unlock()
	if err != nil {
		p.fail(reason, "the remote to take what was sent", nil, err.Error())
	}
}

// Unsent is how many bytes the conduit has not been given yet.
func (p *Peer) Unsent() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.out)
}

// run lets things happen until ok holds under the lock.
func (p *Peer) run(ok func() bool) bool { return p.runFor(ok, p.cfg.Patience) }

func (p *Peer) runFor(ok func() bool, limit time.Duration) bool {
	return p.d.RunUntil(func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return ok()
	}, limit)
}

func (p *Peer) wake() {
	if w, ok := p.d.(waker); ok {
		w.Wake()
	}
}

// send is called with mu held.
func (p *Peer) send(b []byte) {
	if p.seal != nil {
		sealed, err := p.seal.Seal(p.out, b)
		if err != nil {
			p.writeErr = err
			return
		}
		p.out = sealed
	} else {
		p.out = append(p.out, b...)
	}
	p.flush()
}

// flush is called with mu held.
func (p *Peer) flush() {
	if p.draining || len(p.out) == 0 || p.writeErr != nil {
		return
	}
	n, err := p.raw.TryWrite(p.out)
	if err != nil {
		p.writeErr, p.out = err, nil
		return
	}
	rest := p.out[n:]
	p.out = nil
	if len(rest) > 0 {
		p.draining = true
		p.raw.Drain(rest)
	}
}

// receive is called with mu held.
func (p *Peer) receive(b []byte) {
	if p.open == nil {
		p.plain(b)
		return
	}
	p.open.Feed(b)
	for {
		plain, ok, err := p.open.Next()
		if err != nil {
			p.ended(err)
			return
		}
		if !ok {
			return
		}
		p.plain(plain)
	}
}

func (p *Peer) plain(b []byte) {
	p.got(b)
	if p.mux != nil {
		p.mux.receive(b)
	}
}

// secure puts a secure channel between the peer and the conduit. It is called with mu held.
func (p *Peer) secure(open conduit.Opener, seal conduit.Sealer) {
	rest := p.in
	p.in = nil
	p.open, p.seal = open, seal
	if len(rest) > 0 {
		p.receive(rest)
	}
}

// sink is the peer's face to the conduit.
type sink struct{ p *Peer }

func (s *sink) Offer(b *buf.Buf) {
	p := s.p
	p.mu.Lock()
	p.receive(b.B)
	more := !p.stalled
	if !more {
		p.owed++
	}
	p.mu.Unlock()
	b.Release()
	if more {
		p.raw.More()
	}
	p.wake()
}

func (s *sink) Drained(err error) {
	p := s.p
	p.mu.Lock()
	p.draining = false
	if err != nil {
		p.writeErr, p.out = err, nil
	}
	p.flush()
	p.mu.Unlock()
	p.wake()
}

func (s *sink) Ended(err error) {
	p := s.p
	p.mu.Lock()
	p.ended(err)
	if p.mux != nil {
		p.mux.ended(err)
	}
	p.mu.Unlock()
	p.wake()
}

const defaultPatience = time.Minute

var (
	errClosed = errors.New("the connection has ended")
	errNobody = errors.New("nobody came")
)

package upgrade

import (
	"fmt"
	"time"

	"github.com/troupe-p2p/troupe/identity"
)

// negotiator is multistream's Dialer or Listener.
type negotiator interface {
	HandleBytes(p []byte) (consumed int, err error)
	AppendOutput(dst []byte) []byte
	Greeted() bool
	Done() (protocol string, ok bool)
}

// handshake is a security handshake that is a core.
type handshake interface {
	HandleBytes(p []byte) (consumed int, err error)
	AppendOutput(dst []byte) []byte
}

// phase is what received bytes belong to.
type phase uint8

const (
	choosingSecurity phase = iota
	handshaking
	inTLS // the bytes are the owner's
	choosingMuxer
	finished
)

// Upgrade is one connection's upgrade. It belongs to the connection's owner.
type Upgrade struct {
	cfg       Config
	deadline  time.Time
	phase     phase
	stage     Stage
	members   *members // nil in the public network
	choice    negotiator
	handshake handshake // made before the choice when there is only one
	done      Done      // filled as its parts become known
	reported  bool      // done is among the events
	spent     int       // bytes of the remote that were used up
	out       []byte
	events    []Event
	err       error
}

// New starts an upgrade. An error is an *Error with Fault Local.
func New(cfg Config, now time.Time) (*Upgrade, error) {
	if err := cfg.complete(); err != nil {
		return nil, &Error{Layer: LayerConfig, Fault: Local, Err: err}
	}
	u := &Upgrade{cfg: cfg, deadline: now.Add(cfg.Timeout)}
	if cfg.Network != nil {
		m, err := newMembers(cfg.Network, cfg.Rand)
		if err != nil {
			return nil, &Error{Layer: LayerNetwork, Fault: Local, Err: err}
		}
		u.members = m
	}
	u.choice = u.negotiate(cfg.Security)
	u.out = u.choice.AppendOutput(u.out)
	// With one security protocol there is nothing to wait for: its first message goes behind
	// the proposal, which saves a round trip. TLS would need the owner before the answer is there.
	if cfg.Role == Dialer && len(cfg.Security) == 1 && cfg.Security[0] != TLS {
		u.done.Security = cfg.Security[0]
		u.prepare()
	}
	if u.err != nil {
		return nil, u.err
	}
	return u, nil
}

// HandleBytes takes received bytes, which it may overwrite. It may not be called between NeedTLS
// and HandleTLS or after Done. The error is sticky.
func (u *Upgrade) HandleBytes(now time.Time, p []byte) error {
	if len(p) > 0 && u.err == nil && (u.phase == inTLS || u.reported) {
		u.fail(LayerConfig, fmt.Errorf("%w: these bytes are not the upgrade's", ErrMisuse))
	}
	u.checkDeadline(now)
	if u.err == nil {
		p = u.unveil(p)
	}
	for len(p) > 0 && u.err == nil {
		switch u.phase {
		case choosingSecurity:
			p = p[u.chooseSecurity(p):]
		case handshaking:
			p = p[u.shakeHands(p):]
		case choosingMuxer, finished:
			u.done.Open.Feed(p)
			u.open()
			p = nil
		case inTLS: // the rest went out with NeedTLS
			p = nil
		}
	}
	u.report()
	return u.err
}

// HandleTLS takes the outcome of the TLS handshake that NeedTLS asked for.
func (u *Upgrade) HandleTLS(now time.Time, c Channel, err error) error {
	if u.err == nil && u.phase != inTLS {
		u.fail(LayerConfig, fmt.Errorf("%w: no TLS handshake was asked for", ErrMisuse))
	}
	if err != nil {
		u.fail(LayerTLS, err)
	}
	u.checkDeadline(now)
	if u.err == nil && u.accept(c) {
		u.secured(c)
	}
	if u.err == nil {
		u.open() // what came behind the handshake
	}
	u.report()
	return u.err
}

// HandleTimeout ends an upgrade that is due.
func (u *Upgrade) HandleTimeout(now time.Time) error {
	u.checkDeadline(now)
	return u.err
}

// HandleEnd ends an upgrade whose connection has ended, for the reason cause; nil stands for an
// orderly end.
func (u *Upgrade) HandleEnd(cause error) error {
	switch {
	case u.reported:
	case cause == nil:
		u.fail(u.layer(), fmt.Errorf("%w: %v", ErrEnded, u.stage))
	default:
		u.fail(u.layer(), fmt.Errorf("%w: %v: %w", ErrEnded, u.stage, cause))
	}
	return u.err
}

// Next returns the next event.
func (u *Upgrade) Next() (Event, bool) {
	if len(u.events) == 0 || u.err != nil {
		return nil, false
	}
	e := u.events[0]
	u.events = u.events[1:]
	return e, true
}

// AppendOutput appends what is to be sent. Bytes appended count as sent. After an error it is what
// was due before: the refusal of what a dialer proposed, say, that tells it why we close.
func (u *Upgrade) AppendOutput(dst []byte) []byte {
	n := len(dst)
	dst = append(dst, u.out...)
	u.out = nil
	return u.Veil(dst, n)
}

// Deadline is when HandleTimeout is due, unless the upgrade is over.
func (u *Upgrade) Deadline() (time.Time, bool) {
	return u.deadline, u.err == nil && !u.reported
}

// Stage says how far the upgrade is.
func (u *Upgrade) Stage() Stage { return u.stage }

// Peer is who has proved to be there; empty before Secured.
func (u *Upgrade) Peer() identity.ID { return u.done.Peer }

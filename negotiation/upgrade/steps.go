package upgrade

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/negotiation/multistream"
	"github.com/troupe-p2p/troupe/negotiation/noise"
	"github.com/troupe-p2p/troupe/negotiation/plaintext"
)

// negotiate starts a choice among protocols, which were checked.
func (u *Upgrade) negotiate(protocols []string) negotiator {
	if u.cfg.Role == Listener {
		return multistream.NewListener(multistream.OneOf(protocols...))
	}
	d, err := multistream.NewDialer(protocols...)
	if err != nil {
		u.fail(LayerConfig, err)
	}
	return d
}

// chooseSecurity returns how many bytes were used up.
func (u *Upgrade) chooseSecurity(p []byte) int {
	n, err := u.choice.HandleBytes(p)
	u.spend(n)
	if u.choice.Greeted() {
		u.advance(Speaking)
	}
	u.out = u.choice.AppendOutput(u.out) // refusals even before a failure
	if err != nil {
		u.fail(LayerSecurity, err)
		return n
	}
	if protocol, ok := u.choice.Done(); ok {
		u.done.Security = protocol
		u.advance(Securing)
		if protocol == TLS {
			u.phase = inTLS
			u.askForTLS(p[n:])
			return len(p)
		}
		u.phase = handshaking
		if u.handshake == nil {
			u.prepare()
		}
	}
	return n
}

// prepare makes the security handshake and queues its first message.
func (u *Upgrade) prepare() {
	var err error
	switch u.done.Security {
	case noise.ID:
		u.handshake, err = noise.New(noise.Config{
			Initiator: u.cfg.Role == Dialer, Static: u.cfg.Noise, Rand: u.cfg.Rand,
			Expect: u.cfg.Expect, Muxers: u.cfg.early(), Frame: u.cfg.Frame,
		})
	case plaintext.ID:
		u.handshake, err = plaintext.New(u.cfg.Key)
	}
	if err != nil {
		u.fail(u.layer(), err)
		return
	}
	u.out = u.handshake.AppendOutput(u.out)
}

// shakeHands returns how many bytes were used up.
func (u *Upgrade) shakeHands(p []byte) int {
	n, err := u.handshake.HandleBytes(p)
	u.spend(n)
	if err != nil {
		u.fail(u.layer(), err)
		return n
	}
	var channel *Channel
	switch h := u.handshake.(type) {
	case *noise.Handshake:
		if r, ok := h.Done(); ok {
			channel = &Channel{Peer: r.Peer, PublicKey: r.PublicKey, Muxer: r.Muxer, Open: r.Open, Seal: r.Seal}
		}
	case *plaintext.Handshake:
		if r, ok := h.Done(); ok {
			channel = &Channel{Peer: r.Peer, PublicKey: r.PublicKey, Open: r.Open, Seal: r.Seal}
		}
	}
	if channel == nil || u.accept(*channel) {
		u.out = u.handshake.AppendOutput(u.out)
	}
	if channel != nil {
		u.secured(*channel)
	}
	return n
}

func (u *Upgrade) askForTLS(rest []byte) {
	u.events = append(u.events, NeedTLS{
		Server: u.cfg.Role == Listener, Expect: u.cfg.Expect, Muxers: u.cfg.early(), Rest: bytes.Clone(rest),
	})
}

// accept says whether the peer at the other end of a channel is one to go on with.
func (u *Upgrade) accept(c Channel) bool {
	layer := u.layer()
	switch {
	case c.Open == nil || c.Seal == nil || c.Peer == "":
		u.fail(layer, fmt.Errorf("%w: a handshake without outcome", ErrMisuse))
	case c.Peer == u.cfg.Local:
		u.fail(layer, ErrSelf)
	case u.cfg.Expect != "" && c.Peer != u.cfg.Expect:
		u.fail(layer, &identity.MismatchError{Expected: u.cfg.Expect, Actual: c.Peer})
	case c.Muxer != "" && !slices.Contains(u.cfg.Muxers, c.Muxer):
		u.fail(layer, fmt.Errorf("%w: muxer %q was not offered", ErrMisuse, c.Muxer))
	}
	return u.err == nil
}

// secured goes on with a channel that was accepted.
func (u *Upgrade) secured(c Channel) {
	if u.err != nil {
		return
	}
	u.handshake = nil
	u.done.Peer, u.done.PublicKey, u.done.Open, u.done.Seal = c.Peer, c.PublicKey, c.Open, c.Seal
	u.advance(Secured)
	if c.Muxer != "" {
		u.done.Early = true
		u.finish(c.Muxer)
		return
	}
	u.phase = choosingMuxer
	u.choice = u.negotiate(u.cfg.Muxers)
	u.sealChoice()
}

// open takes all plaintext that the channel has.
func (u *Upgrade) open() {
	for u.err == nil {
		plain, ok, err := u.done.Open.Next()
		if errors.Is(err, io.EOF) {
			_ = u.HandleEnd(nil) // in order: TLS can say so
			return
		}
		if err != nil {
			u.fail(securityLayer(u.done.Security), err)
			return
		}
		if !ok {
			return
		}
		if u.phase == choosingMuxer {
			plain = plain[u.chooseMuxer(plain):]
		}
		if len(plain) > 0 && u.err == nil {
			u.done.Rest = append(u.done.Rest, plain...)
		}
	}
}

func (u *Upgrade) chooseMuxer(plain []byte) int {
	n, err := u.choice.HandleBytes(plain)
	u.spend(n)
	u.sealChoice() // refusals even before a failure
	if err != nil {
		u.fail(LayerMuxer, err)
		return n
	}
	if protocol, ok := u.choice.Done(); ok && u.err == nil {
		u.finish(protocol)
	}
	return n
}

func (u *Upgrade) sealChoice() {
	plain := u.choice.AppendOutput(nil)
	if len(plain) == 0 {
		return
	}
	out, err := u.done.Seal.Seal(u.out, plain)
	if err != nil {
		u.fail(LayerMuxer, err)
		return
	}
	u.out = out
}

func (u *Upgrade) finish(muxer string) {
	u.done.Muxer = muxer
	u.phase = finished
	u.choice = nil
	u.advance(Finished)
}

// report queues Done when all that has come behind the upgrade is in it.
func (u *Upgrade) report() {
	if u.err == nil && u.phase == finished && !u.reported {
		u.events = append(u.events, u.members.cover(u.done))
		u.reported = true
	}
}

func (u *Upgrade) advance(s Stage) { u.stage = max(u.stage, s) }

// spend counts against MaxBytes.
func (u *Upgrade) spend(n int) {
	if u.spent += n; u.spent > MaxBytes {
		u.fail(u.layer(), ErrTooLong)
	}
}

func (u *Upgrade) checkDeadline(now time.Time) {
	if !u.reported && !now.Before(u.deadline) {
		u.fail(u.layer(), fmt.Errorf("%w of %s: %v", ErrTimeout, u.cfg.Timeout, u.stage))
	}
}

// Package dialplan decides which addresses of a peer are dialled, in which order and when.
//
//	addresses -> Rank    attempts with their delays, and why the others are left out
//	attempts  -> Dial    Start ... HandleFailed ... HandleWon -> Stop the rest, Ended
//	failures  -> Backoff not again for a while, unless the user says so
//
// The order is RFC 8305 (Happy Eyeballs) for libp2p:
//
//	QUIC, IPv6 first  0 ms      one round trip, and no lock on the head of the line
//	QUIC, IPv4        +250 ms   all further QUIC addresses +250 ms
//	TCP, IPv6 first   +250 ms   after the last QUIC one
//	TCP, IPv4         +250 ms   all further TCP addresses +250 ms
//	other transports  +1 s      after the last of those
//	relayed           +500 ms   beside public addresses, in the same order
//
// Addresses of this network have steps of 30 ms and run beside the public ones. When everything that
// was started has failed the next is not waited for.
package dialplan

import (
	"errors"
	"fmt"
	"time"

	"github.com/troupe-p2p/troupe/addrs"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/bound"

	ma "github.com/multiformats/go-multiaddr"
)

const (
	publicStep  = 250 * time.Millisecond // RFC 8305 section 5, "Connection Attempt Delay"
	privateStep = 30 * time.Millisecond
	publicRest  = time.Second
	privateRest = 100 * time.Millisecond
	relayDelay  = 500 * time.Millisecond // beside public addresses
	relayLocal  = 100 * time.Millisecond // beside addresses of this network alone

	// MaxAttempts bounds the addresses of one dial. It stops a peer record that makes us
	// dial thousands of addresses, which may well be those of a victim.
	MaxAttempts = 64
	// maxInput bounds the addresses that are looked at at all.
	maxInput = 1024
)

// Why an address is not dialled. All are local: nothing was sent.
var (
	ErrOwn         = errors.New("dial: local: our own address")
	ErrOtherPeer   = errors.New("dial: local: address of another peer")
	ErrNoTransport = errors.New("dial: local: no transport of this node can dial the address")
	ErrUnspecified = errors.New("dial: local: address to listen on, not to dial")
	ErrRelayLoop   = errors.New("dial: local: relayed through the peer itself")
	ErrTooMany     = fmt.Errorf("dial: limit: more than %d addresses", MaxAttempts)
)

// BackoffError leaves out an address that has failed a short time ago.
type BackoffError struct {
	Until time.Time
	Fails int
	Last  error // the last failure
}

func (e *BackoffError) Error() string {
	return fmt.Sprintf("dial: local: failed %d times, not tried before %s (last: %v)", e.Fails, e.Until.Format(time.TimeOnly), e.Last)
}

func (e *BackoffError) Unwrap() error { return e.Last }

// Input is what Rank has to know.
type Input struct {
	Self, Peer identity.ID // Peer "" takes whoever answers
	// Addrs are the addresses of the peer, the most trustworthy first. Names that a
	// transport does not resolve by itself are resolved before.
	Addrs []ma.Multiaddr
	// Own are the addresses that this node listens on, with unspecified ones expanded.
	Own []ma.Multiaddr
	// CanDial says whether a transport of this node can dial the address, which comes
	// without its last /p2p. Nil: everything that names a transport.
	CanDial func(ma.Multiaddr) bool
	// Backoff leaves out what has failed a short time ago. Nil for a dial that the user
	// asked for.
	Backoff *Backoff
}

// Attempt is an address to dial, without /p2p, and when, from the start of the dial.
type Attempt struct {
	Addr  ma.Multiaddr
	Delay time.Duration
	// Near says that the address is of this machine or network: it answers soon or never.
	Near bool
}

// Skipped is an address that is not dialled.
type Skipped struct {
	Addr ma.Multiaddr
	Err  error
}

// Rank turns addresses into attempts, sorted by delay.
func Rank(now time.Time, in Input) (plan []Attempt, skipped []Skipped) {
	skip := func(a ma.Multiaddr, err error) { skipped = append(skipped, Skipped{a, err}) }
	own := make(map[addrs.Waist]bool)
	for _, a := range in.Own {
		if w, ok := addrs.ThinWaist(a); ok {
			own[w] = true
		}
	}
	var found []candidate
	seen := make(map[string]bool)
	for i, full := range in.Addrs {
		if i == maxInput {
			skip(full, ErrTooMany)
			break
		}
		a, err := in.fit(full, own)
		if err != nil {
			skip(full, err)
			continue
		}
		if raw := string(a.Bytes()); !seen[raw] {
			seen[raw] = true
			if err := in.Backoff.check(now, in.Peer, raw); err != nil {
				skip(full, err)
				continue
			}
			found = append(found, classify(a))
		}
	}
	plan = schedule(found)
	for len(plan) > MaxAttempts {
		last := len(plan) - 1
		skip(plan[last].Addr, ErrTooMany)
		plan = plan[:last]
	}
	return plan, skipped
}

// fit says whether an address can be dialled, and returns it without its /p2p.
func (in *Input) fit(full ma.Multiaddr, own map[addrs.Waist]bool) (ma.Multiaddr, error) {
	a, id, err := addrs.SplitPeer(full)
	switch {
	case err != nil:
		return nil, err
	case len(a) == 0:
		return nil, ErrNoTransport
	case id != "" && in.Peer != "" && id != in.Peer:
		return nil, ErrOtherPeer
	case id != "" && id == in.Self:
		return nil, ErrOwn
	case addrs.ScopeOf(a) == addrs.Unspecified:
		return nil, ErrUnspecified
	}
	relay, _, relayed := addrs.SplitCircuit(a)
	if relayed {
		switch _, id, _ := addrs.SplitPeer(relay); {
		case id != "" && id == in.Self:
			return nil, ErrOwn
		case id != "" && id == in.Peer:
			return nil, ErrRelayLoop
		}
	} else if w, ok := addrs.ThinWaist(a); ok && own[w] {
		return nil, ErrOwn
	}
	if in.CanDial == nil && addrs.Transport(a) == "" || in.CanDial != nil && !in.CanDial(a) {
		return nil, ErrNoTransport
	}
	return a, nil
}

// Bounds lists what a remote can fill.
func Bounds() []bound.Bound {
	return []bound.Bound{
		{Name: "peers/dialplan: addresses of one dial", Cap: MaxAttempts, Attack: "a peer record that makes us dial thousands of addresses"},
		{Name: "peers/dialplan: attempts of one dial at the same time", Cap: MaxParallel, Attack: "the same, as fast as we can"},
		{Name: "peers/dialplan: addresses in backoff", Cap: MaxBackoff, Attack: "endless addresses that fail"},
	}
}

package upgrade

import (
	"errors"

	"github.com/troupe-p2p/troupe/negotiation/multistream"
	"github.com/troupe-p2p/troupe/negotiation/noise"
	"github.com/troupe-p2p/troupe/negotiation/plaintext"
	"github.com/troupe-p2p/troupe/negotiation/pnet"
)

// fail ends the upgrade. The first failure counts.
func (u *Upgrade) fail(layer Layer, err error) {
	if u.err != nil {
		return
	}
	u.err = &Error{Layer: layer, Fault: faultOf(err), Err: err}
	u.suspectKey()
	if c, ok := u.done.Open.(interface{ Close() }); ok {
		c.Close() // gives back what it holds of a frame
	}
}

// layer is the one that the upgrade is in.
func (u *Upgrade) layer() Layer {
	switch u.phase {
	case choosingSecurity:
		return LayerSecurity
	case choosingMuxer:
		return LayerMuxer
	default:
		return securityLayer(u.done.Security)
	}
}

func securityLayer(protocol string) Layer {
	switch protocol {
	case noise.ID:
		return LayerNoise
	case plaintext.ID:
		return LayerPlaintext
	}
	return LayerTLS
}

// faultOf reads the kind of an error. What is nobody else's fault is the remote's.
func faultOf(err error) Fault {
	for _, kind := range []error{ErrConfig, ErrMisuse, ErrSelf, noise.ErrLocal, plaintext.ErrLocal, pnet.ErrLocal, multistream.ErrName} {
		if errors.Is(err, kind) {
			return Local
		}
	}
	for _, kind := range []error{ErrTimeout, ErrTooLong, noise.ErrLimit, plaintext.ErrLimit, multistream.ErrTooLarge, multistream.ErrTooManyProposals} {
		if errors.Is(err, kind) {
			return Limit
		}
	}
	// Errors of the TLS adapter, whose package a core does not import.
	var local interface{ LocalFault() }
	if errors.As(err, &local) {
		return Local
	}
	var limit interface{ OverLimit() }
	if errors.As(err, &limit) {
		return Limit
	}
	return Remote
}

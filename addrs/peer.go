package addrs

import (
	"fmt"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/troupe-p2p/troupe/identity"
)

// SplitPeer takes the /p2p component off the end. Without one the ID is zero and the address a
// itself; of /p2p alone the address is nil.
func SplitPeer(a ma.Multiaddr) (ma.Multiaddr, identity.ID, error) {
	n := len(a)
	if n == 0 || a[n-1].Code() != ma.P_P2P {
		return a, "", nil
	}
	id, err := identity.IDFromBytes(a[n-1].RawValue())
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return trim(a[:n-1]), id, nil
}

// WithPeer is a as an address of the peer id: a /p2p at the end is replaced.
func WithPeer(a ma.Multiaddr, id identity.ID) ma.Multiaddr {
	if n := len(a); n > 0 && a[n-1].Code() == ma.P_P2P {
		a = a[:n-1]
	}
	raw := append(ma.CodeToVarint(ma.P_P2P), byte(len(id)))
	tail, err := ma.NewMultiaddrBytes(append(raw, id...))
	if err != nil {
		return trim(a) // the zero ID
	}
	return join(a, tail)
}

// SplitCircuit takes a relayed address apart at its first marker: the relay's own address, which
// ends in the relay's /p2p, and what is asked of the relay.
func SplitCircuit(a ma.Multiaddr) (relay, rest ma.Multiaddr, ok bool) {
	for i := range a {
		if a[i].Code() == ma.P_CIRCUIT {
			return trim(a[:i]), trim(a[i+1:]), true
		}
	}
	return a, nil, false
}

// IsRelayed reports whether a goes through a relay.
func IsRelayed(a ma.Multiaddr) bool {
	_, _, ok := SplitCircuit(a)
	return ok
}

// trim makes empty nil, and keeps appends to the result out of the array it shares.
func trim(a ma.Multiaddr) ma.Multiaddr {
	if len(a) == 0 {
		return nil
	}
	return a[:len(a):len(a)]
}

func join(a, b ma.Multiaddr) ma.Multiaddr {
	return append(append(make(ma.Multiaddr, 0, len(a)+len(b)), a...), b...)
}

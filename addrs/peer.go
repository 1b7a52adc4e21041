package addrs

import (
	"fmt"
	"strings"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/troupe-p2p/troupe/identity"
)

// SplitPeer takes the /p2p component off the end. Without one the ID is zero and the address a
// itself; of /p2p alone the address is nil.
func SplitPeer(a ma.Multiaddr) (ma.Multiaddr, identity.ID, error) {
	n := len(a)
	if path, id, ok := pathAndPeer(a); ok {
		return join(a[:n-1], path), id, nil
	}
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
	if path, _, ok := pathAndPeer(a); ok {
		a = join(a[:len(a)-1], path)
	}
	if n := len(a) - 1; n >= 0 && a[n].Code() == ma.P_UNIX {
		if id == "" {
			return trim(a)
		}
		if c, err := ma.NewComponent("unix", a[n].Value()+peerMark+id.String()); err == nil {
			return join(a[:n], c.Multiaddr())
		}
		return trim(a)
	}
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

const peerMark = "/p2p/"

// pathAndPeer takes the peer off the path of a Unix socket. Everything behind /unix is the path, in
// text and in bytes, and there is no other place for a peer.
func pathAndPeer(a ma.Multiaddr) (ma.Multiaddr, identity.ID, bool) {
	n := len(a) - 1
	if n < 0 || a[n].Code() != ma.P_UNIX {
		return nil, "", false
	}
	path := a[n].Value()
	i := strings.LastIndex(path, peerMark)
	if i <= 0 {
		return nil, "", false
	}
	id, err := identity.Decode(path[i+len(peerMark):])
	if err != nil || id.String() != path[i+len(peerMark):] {
		return nil, "", false
	}
	c, err := ma.NewComponent("unix", path[:i])
	if err != nil {
		return nil, "", false
	}
	return c.Multiaddr(), id, true
}

package addrs

import (
	"github.com/troupe-p2p/troupe/internal/bound"
	"github.com/troupe-p2p/troupe/internal/rawaddr"
)

// Bounds lists what a remote can fill here.
func Bounds() []bound.Bound {
	return []bound.Bound{
		{Name: "addrs: bytes of an address", Cap: rawaddr.MaxBytes, Attack: "peerstores filled with few, huge addresses"},
		{Name: "addrs: components of an address", Cap: rawaddr.MaxComponents, Attack: "addresses that cost much more once parsed"},
	}
}

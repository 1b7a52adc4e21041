package dnsaddr

import (
	"time"

	"github.com/troupe-p2p/troupe/internal/bound"

	madns "github.com/multiformats/go-multiaddr-dns"
)

// Config of a Resolver. The zero value works.
type Config struct {
	// Lookup asks the name servers. Default: the system's resolver.
	Lookup madns.BasicResolver
	// Timeout bounds one Resolve, within the caller's context. Default 10 s.
	Timeout time.Duration
	// LookupTimeout bounds one look-up within it. Default 4 s: a resolver's first try and its
	// second.
	LookupTimeout time.Duration
}

const (
	// DefaultTimeout leaves a dial that begins with a name some time to dial.
	DefaultTimeout = 10 * time.Second
	// DefaultLookupTimeout keeps one dead name server from eating up the time of the others.
	DefaultLookupTimeout = 4 * time.Second
	// MaxDepth bounds names that lead to names. It stops circles, and chains that are made up
	// as we ask. The public bootstrap names are two deep.
	MaxDepth = 4
	// MaxAddrs bounds the result. It stops a name that stands for thousands of addresses, all
	// of which somebody would dial.
	MaxAddrs = 100
	// maxLookups bounds the questions of one Resolve. It stops a name that leads to a hundred
	// names, each of which leads to a hundred more: we would do an attacker's asking.
	maxLookups = 64
	// atOnce is how many look-ups of one Resolve wait at a time.
	atOnce = 8
)

func (c Config) withDefaults() Config {
	if c.Timeout <= 0 {
		c.Timeout = DefaultTimeout
	}
	if c.LookupTimeout <= 0 {
		c.LookupTimeout = DefaultLookupTimeout
	}
	return c
}

// Bounds lists what a remote can fill.
func Bounds() []bound.Bound {
	return []bound.Bound{
		{Name: "transports/dnsaddr: addresses of one name", Cap: MaxAddrs,
			Attack: "a name that stands for thousands of addresses"},
		{Name: "transports/dnsaddr: look-ups for one name", Cap: maxLookups,
			Attack: "names that lead to many names, or in circles"},
	}
}

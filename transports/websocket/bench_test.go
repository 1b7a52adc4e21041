package websocket

import (
	"testing"

	"github.com/troupe-p2p/troupe/testkit/transporttest"

	ma "github.com/multiformats/go-multiaddr"
)

// BenchmarkBulk is what a session does to one stream of large writes, from the end that masks and from the one
// that does not.
func BenchmarkBulk(b *testing.B) {
	for _, c := range []struct {
		name string
		cfg  Config
		at   ma.Multiaddr
		back bool
	}{
		{"ws from the dialler", Config{}, anyPort, false},
		{"ws from the listener", Config{}, anyPort, true},
		{"wss from the dialler", secured(b), anyPortS, false},
		{"wss from the listener", secured(b), anyPortS, true},
	} {
		b.Run(c.name, func(b *testing.B) {
			from, to := transporttest.Pair(b, New(transporttest.Runtime(b), c.cfg), c.at)
			b.Cleanup(func() { from.Abandon(); to.Abandon() })
			if c.back {
				from, to = to, from
			}
			transporttest.BenchmarkRaw(b, from.Raw, to.Raw, 64<<10, false)
		})
	}
}

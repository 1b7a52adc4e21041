package quicstack

import (
	"sync"

	quicgo "github.com/quic-go/quic-go"
)

// growth is what the windows of all connections have grown by. quic-go asks before it widens one, and
// never narrows it: what a connection got comes back with its end.
type growth struct {
	mu        sync.Mutex
	most, sum uint64
	of        map[*quicgo.Conn]uint64
}

// allow raises the bound.
func (g *growth) allow(most int) {
	g.mu.Lock()
	g.most = max(g.most, uint64(most))
	g.mu.Unlock()
}

// widen implements quicgo.Config.AllowConnectionWindowIncrease.
func (g *growth) widen(c *quicgo.Conn, by uint64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if by > g.most-g.sum {
		return false
	}
	if g.of == nil {
		g.of = map[*quicgo.Conn]uint64{}
	}
	g.of[c] += by
	g.sum += by
	return true
}

// ended is called once a connection has ended: quic-go asks no more for it.
func (g *growth) ended(c *quicgo.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sum -= g.of[c]
	delete(g.of, c)
}

func (g *growth) grown() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return int(g.sum)
}

package sockets

import (
	"context"
	"net"
	"time"

	"github.com/troupe-p2p/troupe/transports/internal/fault"
)

// ListenTCP binds a port, with plain TCP whatever the system's default is, and says whose fault a
// failure is. It is never the remote's.
func ListenTCP(network, address string, keepAlive time.Duration) (*net.TCPListener, fault.Origin, error) {
	lc := net.ListenConfig{KeepAliveConfig: KeepAlive(keepAlive)}
	lc.SetMultipathTCP(false)
	nl, err := lc.Listen(context.Background(), network, address)
	if err != nil {
		return nil, OriginOfListen(err), err
	}
	return nl.(*net.TCPListener), 0, nil
}

// DialTCP is its other end.
func DialTCP(ctx context.Context, network, address string, keepAlive time.Duration) (net.Conn, error) {
	d := net.Dialer{KeepAliveConfig: KeepAlive(keepAlive)}
	d.SetMultipathTCP(false)
	return d.DialContext(ctx, network, address)
}

// SameUDP says that two UDP addresses differ in their ports at most. An unset one stands for all of them.
func SameUDP(a, b *net.UDPAddr) bool {
	if len(a.IP) == 0 || len(b.IP) == 0 {
		return (len(a.IP) == 0 || a.IP.IsUnspecified()) && (len(b.IP) == 0 || b.IP.IsUnspecified())
	}
	return a.IP.Equal(b.IP) && a.Zone == b.Zone
}

// SameIP says that two TCP addresses differ in their ports at most.
func SameIP(a, b net.Addr) bool {
	x, ok := a.(*net.TCPAddr)
	y, too := b.(*net.TCPAddr)
	return ok && too && x.IP.Equal(y.IP) && x.Zone == y.Zone
}

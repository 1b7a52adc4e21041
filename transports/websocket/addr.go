package websocket

import (
	"errors"
	"net"
	"net/url"
	"strings"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/troupe-p2p/troupe/addrs"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"
)

// ErrAddress: the address is not one of WebSocket over TCP.
var ErrAddress = errors.New("not a WebSocket address: want /ip4/.../tcp/.../ws or /ip4/.../tcp/.../tls/ws")

// target is what an address says.
type target struct {
	network string // "tcp", "tcp4" or "tcp6"
	address string // host and port, as package net wants them
	host    string // a name or an IP address
	named   bool   // host is a name
	secure  bool
	sni     string       // "": none was given
	path    string       // "": none was given
	suffix  ma.Multiaddr // all behind the port
}

// parse takes the address apart. Package addrs has the list of forms.
func parse(a ma.Multiaddr) (target, error) {
	kind := addrs.Transport(a)
	if kind != "ws" && kind != "wss" {
		return target{}, ErrAddress
	}
	t := target{secure: kind == "wss"}
	port, zone := "", ""
	for i := range a {
		switch c := &a[i]; c.Code() {
		case ma.P_IP4:
			t.network, t.host = "tcp4", c.Value()
		case ma.P_IP6:
			t.network, t.host = "tcp6", c.Value()
		case ma.P_IP6ZONE:
			zone = c.Value()
		case ma.P_DNS:
			t.network, t.host, t.named = "tcp", c.Value(), true
		case ma.P_DNS4:
			t.network, t.host, t.named = "tcp4", c.Value(), true
		case ma.P_DNS6:
			t.network, t.host, t.named = "tcp6", c.Value(), true
		case ma.P_TCP:
			port, t.suffix = c.Value(), a[i+1:]
		case ma.P_SNI:
			t.sni = c.Value()
		case ma.P_HTTP_PATH:
			t.path = "/" + strings.TrimPrefix(string(c.RawValue()), "/")
		case ma.P_TLS, ma.P_WS, ma.P_WSS:
		default: // a peer is for others to check, and is no part of an endpoint
			return target{}, ErrAddress
		}
	}
	host := t.host
	if zone != "" {
		host += "%" + zone
	}
	t.address = net.JoinHostPort(host, port)
	if _, err := url.Parse(t.url()); err != nil { // a name that no host can have
		return target{}, ErrAddress
	}
	return t, nil
}

// serverName is whom a certificate has to be for.
func (t target) serverName() string {
	if t.sni != "" {
		return t.sni
	}
	return t.host
}

// url is what the request asks for. The scheme is ws even over TLS: the library is given a
// connection that is secured already.
func (t target) url() string {
	u := url.URL{Scheme: "ws", Host: t.address, Path: t.path}
	_, port, _ := net.SplitHostPort(t.address)
	switch {
	case t.sni != "":
		u.Host = net.JoinHostPort(t.sni, port)
	case !t.named: // without a zone, which means nothing to the other end
		u.Host = net.JoinHostPort(t.host, port)
	}
	if u.Path == "" {
		u.Path = "/"
	}
	return u.String()
}

var (
	wsSuffix  = ma.StringCast("/ws")
	wssSuffix = ma.StringCast("/tls/ws")
)

// plainSuffix is how the end of a connection is written of which nothing but the socket is known.
func plainSuffix(secure bool) ma.Multiaddr {
	if secure {
		return wssSuffix
	}
	return wsSuffix
}

// endpoint is the multiaddr of one end of a socket.
func endpoint(a net.Addr, suffix ma.Multiaddr) (ma.Multiaddr, error) {
	m, err := sockets.FromNetAddr(a)
	if err != nil {
		return nil, err
	}
	return join(m, suffix), nil
}

// join never writes into a, which others share.
func join(a, b ma.Multiaddr) ma.Multiaddr {
	return append(append(make(ma.Multiaddr, 0, len(a)+len(b)), a...), b...)
}

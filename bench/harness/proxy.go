package harness

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// oneWay is the delay in each direction.
const oneWay = 25 * time.Millisecond

// inProxy is how many reads of at most proxyRead bytes may be under way in each direction: more
// than any window, so that the proxy delays and does not narrow.
const (
	inProxy   = 4096
	proxyRead = 64 << 10
)

// delay starts a proxy in front of a TCP multiaddr (or host:port) and returns the address to dial
// instead. It ends with ctx.
func (e *env) delay(ctx context.Context, addr string) (string, error) {
	target, rest := addr, ""
	if strings.HasPrefix(addr, "/ip4/") {
		parts := strings.SplitN(addr, "/", 6) // "", ip4, host, tcp, port, p2p/..
		target = net.JoinHostPort(parts[2], parts[4])
		rest = "/" + parts[5]
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	context.AfterFunc(ctx, func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return // closed
			}
			s, err := net.Dial("tcp", target)
			if err != nil {
				_ = c.Close()
				continue
			}
			context.AfterFunc(ctx, func() { _, _ = c.Close(), s.Close() })
			go slowly(s, c)
			go slowly(c, s)
		}
	}()
	at := netip.MustParseAddrPort(ln.Addr().String())
	if rest == "" {
		return at.String(), nil
	}
	return "/ip4/127.0.0.1/tcp/" + strconv.Itoa(int(at.Port())) + rest, nil
}

// late is what was read, and when it is due.
type late struct {
	b  []byte
	at time.Time
}

// slowly copies what it reads after a while.
func slowly(to, from net.Conn) {
	queue := make(chan late, inProxy)
	spare := make(chan []byte, inProxy)
	go func() {
		for l := range queue {
			time.Sleep(time.Until(l.at))
			if _, err := to.Write(l.b); err != nil {
				_ = from.Close()
			}
			select {
			case spare <- l.b[:cap(l.b)]:
			default:
			}
		}
		if c, ok := to.(interface{ CloseWrite() error }); ok {
			_ = c.CloseWrite()
		}
	}()
	defer close(queue)
	for {
		var b []byte
		select {
		case b = <-spare:
		default:
			b = make([]byte, proxyRead)
		}
		n, err := from.Read(b)
		if n > 0 {
			queue <- late{b[:n], time.Now().Add(oneWay)}
		}
		if err != nil {
			return // the end and a failure are passed on alike
		}
	}
}

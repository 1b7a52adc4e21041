package contract

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/netip"
	"slices"
	"strings"
	"time"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// Node is what a peer has started.
type Node interface {
	// Addrs are where a listener listens, each with its peer ID at the end.
	Addrs() []string
	// Ping dials a peer and pings it once, for the time that the ping took.
	Ping(ctx context.Context, addr string) (time.Duration, error)
	// Close ends it.
	Close()
}

// Peer is an implementation that plays the contract.
type Peer struct {
	Name string
	// Transports, Securities and Muxers are those of the contract that it has.
	Transports, Securities, Muxers []string
	// Start makes a node that uses nothing but what it is told.
	Start func(context.Context, Params) (Node, error)
}

// Play does what the environment says and returns when that is done. A listener is never done: it
// is killed, or fails when its time is over.
func (peer Peer) Play(ctx context.Context, getenv func(string) string, stdout io.Writer) error {
	p, err := Read(getenv)
	if err != nil {
		return err
	}
	if err := peer.refuse(p); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	m, err := meet(ctx, p)
	if err != nil {
		return err
	}
	defer m.close()
	node, err := peer.Start(ctx, p)
	if err != nil {
		return fmt.Errorf("%s does not start: %w", peer.Name, err)
	}
	defer node.Close()
	if !p.Dialer {
		return listen(ctx, p, node, m)
	}
	r, err := dial(ctx, node, m)
	if err != nil {
		return err
	}
	return r.Write(stdout, p.Dialect)
}

// OneLine is err as the contract wants it said. Some errors have a line for each address.
func OneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// refuse says what the peer does not have.
func (peer Peer) refuse(p Params) error {
	w := words[p.Dialect]
	for _, has := range []struct {
		word, want string
		some       []string
	}{
		{w.transport, p.Transport, peer.Transports},
		{w.security, p.Security, peer.Securities},
		{w.muxer, p.Muxer, peer.Muxers},
	} {
		if has.want != "" && !slices.Contains(has.some, has.want) {
			return fmt.Errorf("%s: unsupported %q: %s has %s", has.word, has.want, peer.Name, strings.Join(has.some, ", "))
		}
	}
	return nil
}

func listen(ctx context.Context, p Params, node Node, m *meeting) error {
	hosts, err := manet.InterfaceMultiaddrs()
	if err != nil {
		return err
	}
	addr, err := reachable(node.Addrs(), p.IP, hosts)
	if err != nil {
		return err
	}
	if err := m.leave(ctx, addr); err != nil {
		return err
	}
	log.Printf("listening on %s", addr)
	<-ctx.Done()
	return fmt.Errorf("nobody has ended this listener within %v", p.Timeout)
}

func dial(ctx context.Context, node Node, m *meeting) (Result, error) {
	addr, err := m.find(ctx)
	if err != nil {
		return Result{}, err
	}
	log.Printf("dialling %s", addr)
	began := time.Now()
	rtt, err := node.Ping(ctx, addr)
	if err != nil {
		return Result{}, fmt.Errorf("%s: %w", addr, err)
	}
	return Result{HandshakePlusOneRTT: time.Since(began), PingRTT: rtt}, nil
}

// reachable is the first address that another container can dial. Who listens on all addresses
// listens on the loopback too, which leads nowhere from there; who is told to listen on one has been
// told where its dialer is. A node that knows no better says 0.0.0.0, for which hosts stand in.
func reachable(addresses []string, bound netip.Addr, hosts []ma.Multiaddr) (string, error) {
	for _, s := range addresses {
		a, err := ma.NewMultiaddr(s)
		if err != nil {
			return "", fmt.Errorf("the node listens on %q: %w", s, err)
		}
		if !bound.IsUnspecified() {
			return s, nil
		}
		meant := []ma.Multiaddr{a}
		if manet.IsIPUnspecified(a) {
			if meant, err = manet.ResolveUnspecifiedAddress(a, hosts); err != nil {
				return "", fmt.Errorf("%s on %v: %w", s, hosts, err)
			}
		}
		for _, a := range meant {
			if ip, err := manet.ToIP(a); err == nil && ip.IsGlobalUnicast() {
				return a.String(), nil
			}
		}
	}
	if len(addresses) == 0 {
		return "", errors.New("the node listens nowhere")
	}
	return "", fmt.Errorf("no address but of the loopback interface: %s", strings.Join(addresses, ", "))
}

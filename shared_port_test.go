//go:build unix

package troupe_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/protocols/echo"
	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/tcp"
	"github.com/troupe-p2p/troupe/transports/websocket"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// onOnePort makes n, which listens on TCP, listen there for WebSockets, too.
func onOnePort(t *testing.T, n *troupe.System) (plain, ws, wss ma.Multiaddr) {
	t.Helper()
	plain = n.ListenAddrs()[0]
	for over, at := range map[string]*ma.Multiaddr{"/ws": &ws, "/tls/ws": &wss} {
		var err error
		if *at, err = n.Listen(bounded(t), ma.StringCast(plain.String()+over)); err != nil {
			t.Fatal(err)
		}
		if (*at).String() != plain.String()+over {
			t.Fatalf("%s is at %s", over, *at)
		}
	}
	return plain, ws, wss
}

// One port is enough for TCP and for WebSockets with and without TLS. Whichever listener is lost comes
// back there, beside the others.
func TestTCPAndWebSocketsShareAPort(t *testing.T) {
	cert, trusted := localhost(t)
	server := newNode(t, func(c *troupe.Config) {
		c.Transports = []troupe.Transport{troupe.TCP, websocket.Config{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}}.Transport}
	})
	register(t, server, echo.Protocol, echo.Handler())
	plain, ws, wss := onOnePort(t, server)
	served := func() {
		t.Helper()
		for _, at := range []ma.Multiaddr{plain, ws, wss} {
			client := newNode(t, func(c *troupe.Config) {
				c.Listen, c.Transports = nil, []troupe.Transport{troupe.TCP, websocket.Config{ClientTLS: &tls.Config{RootCAs: trusted}}.Transport}
			})
			c, err := client.Dial(bounded(t), server.ID(), at)
			if err != nil {
				t.Fatalf("%s: %v", at, err)
			}
			if !c.Endpoints.Remote.Equal(at) {
				t.Errorf("connected with %s, want %s", c.Endpoints.Remote, at)
			}
			if err := echoes(bounded(t), client, server, strings.Repeat("by "+at.String(), 5000)); err != nil {
				t.Fatalf("%s: %v", at, err)
			}
			if err := client.Close(bounded(t)); err != nil {
				t.Error(err)
			}
		}
	}
	served()
	var listeners []string
	find(server.Tree().Roots, func(a actors.Node) bool {
		if a.Kind == "listener" {
			listeners = append(listeners, a.Path)
		}
		return false
	})
	if len(listeners) != 3 {
		t.Errorf("listeners: %v", listeners)
	}
	for _, path := range listeners {
		if !server.Runtime().Kill(path, "a test") {
			t.Errorf("%s is not there", path)
		}
		until(t, "all addresses", func() bool {
			all := server.ListenAddrs()
			return len(all) == 3 && !slices.ContainsFunc([]ma.Multiaddr{plain, ws, wss}, func(a ma.Multiaddr) bool {
				return !slices.ContainsFunc(all, a.Equal)
			})
		})
		served()
	}

	// A stranger is refused with the words of its protocol.
	nc := saying(t, plain, "GET / HTTP/1.0\r\n\r\n")
	if r, err := http.ReadResponse(bufio.NewReader(nc), nil); err != nil || r.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("%v, %v", r, err)
	}
	nc = saying(t, plain, strings.Repeat("\x00", 100))
	if _, err := io.Copy(io.Discard, nc); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("garbage: %v", err)
	}
}

func saying(t *testing.T, at ma.Multiaddr, says string) net.Conn {
	t.Helper()
	network, address, err := manet.DialArgs(at)
	if err != nil {
		t.Fatal(err)
	}
	nc, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(nc, says); err != nil {
		t.Fatal(err)
	}
	return nc
}

// A pre-shared key makes noise of the first bytes, so a private network's listeners have a port each.
func TestAPrivateListenerSharesItsPortWithNobody(t *testing.T) {
	n := newNode(t, member(newPSK(t), "/ip4/127.0.0.1/tcp/0"))
	_, err := n.Listen(bounded(t), ma.StringCast(n.ListenAddrs()[0].String()+"/ws"))
	if err == nil || !strings.Contains(err.Error(), "in a private network none shares it") {
		t.Errorf("err = %v", err)
	}
	m := newNode(t, member(newPSK(t), "/ip4/127.0.0.1/tcp/0/ws"))
	_, err = m.Listen(bounded(t), ma.StringCast(strings.TrimSuffix(m.ListenAddrs()[0].String(), "/ws")))
	if err == nil || !strings.Contains(err.Error(), "in a private network none shares it") {
		t.Errorf("err = %v", err)
	}
}

// neighbour is WebSockets whose listeners have one of TCP on their port.
type neighbour struct {
	conduit.Transport
	tcp conduit.Transport
}

// alone is told of a listener that has failed once the port is free.
type alone struct {
	conduit.AcceptSink
	other conduit.Listener
}

func (a *alone) Failed(err error) {
	a.AcceptSink.Failed(errors.Join(err, a.other.Close()))
}

type neighbours struct {
	conduit.Listener
	other conduit.Listener
}

func (n *neighbours) Close() error { return errors.Join(n.Listener.Close(), n.other.Close()) }

func (n *neighbour) Listen(a ma.Multiaddr, sink conduit.AcceptSink) (conduit.Listener, error) {
	port, err := a.ValueForProtocol(ma.P_TCP)
	if err != nil {
		return n.Transport.Listen(a, sink)
	}
	other, err := n.tcp.Listen(ma.StringCast("/ip4/127.0.0.1/tcp/"+port), &transporttest.Acceptor{})
	if err != nil {
		return nil, err
	}
	l, err := n.Transport.Listen(other.Addr().Encapsulate(ma.StringCast("/ws")), &alone{sink, other})
	if err != nil {
		return nil, errors.Join(err, other.Close())
	}
	return &neighbours{l, other}, nil
}

// WebSockets beside TCP keep all of it: a dialler speaks first. Many of TCP's in the contract never speak.
func TestASharedPortKeepsTheContract(t *testing.T) {
	s := transporttest.Subject{
		New: func(t testing.TB, rt *actors.Runtime, _ identity.PrivateKey) conduit.Transport {
			ws, plain := websocket.New(rt, websocket.Config{}), tcp.New(rt, tcp.Config{})
			n := conduit.Node{Shared: new(conduit.Shared)}
			if err := errors.Join(ws.Join(n), plain.Join(n)); err != nil {
				t.Fatal(err)
			}
			return &neighbour{ws, plain}
		},
		Listen:  ma.StringCast("/ip4/127.0.0.1/tcp/0/ws"),
		Refused: func(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) },
		Break:   func(_ testing.TB, c conduit.Conduit) { _ = conduit.Reset(c.Raw) },
		Held:    16 << 20,
	}
	transporttest.Run(t, s)
}

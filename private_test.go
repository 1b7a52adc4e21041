package troupe_test

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/negotiation/pnet"
	"github.com/troupe-p2p/troupe/negotiation/upgrade"
	"github.com/troupe-p2p/troupe/protocols/echo"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/memory"
	"github.com/troupe-p2p/troupe/transports/quic"
	"github.com/troupe-p2p/troupe/transports/webrtc"
	"github.com/troupe-p2p/troupe/transports/websocket"
)

func newPSK(t testing.TB) *troupe.PSK {
	t.Helper()
	k, err := pnet.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// member puts a node into a private network, over TCP and WebSocket.
func member(psk *troupe.PSK, listen ...string) func(*troupe.Config) {
	return func(c *troupe.Config) {
		c.PrivateNetwork, c.Listen = psk, listen
		c.Transports = []troupe.Transport{troupe.TCP, websocket.Config{}.Transport}
	}
}

var overTCPAndWebSocket = map[string]string{"tcp": "/ip4/127.0.0.1/tcp/0", "websocket": "/ip4/127.0.0.1/tcp/0/ws"}

func TestMembersOfAPrivateNetworkMeet(t *testing.T) {
	psk := newPSK(t)
	for over, at := range overTCPAndWebSocket {
		for _, security := range []troupe.Security{troupe.Noise, troupe.TLS} {
			t.Run(over+string(security), func(t *testing.T) {
				secured := func(c *troupe.Config) { c.Security = []troupe.Security{security} }
				a, b := newNode(t, member(psk, at), secured), newNode(t, member(psk, at), secured)
				register(t, a, echo.Protocol, echo.Handler())
				register(t, b, echo.Protocol, echo.Handler())
				connect(t, a, b)
				for range 3 {
					text := strings.Repeat("members only ", 20_000)
					if err := errors.Join(echoes(bounded(t), a, b, text), echoes(bounded(t), b, a, text)); err != nil {
						t.Fatal(err)
					}
				}
			})
		}
	}
}

func nobody(t *testing.T, n *troupe.System) {
	t.Helper()
	if c, err := n.Conns(bounded(t)); err != nil || len(c) > 0 {
		t.Errorf("connected: %v, %v", c, err)
	}
}

// Whoever dials, over whichever transport: with another key, or with none, nobody is met. Who has a
// key says that it is probably not the right one.
func TestStrangersToAPrivateNetworkDoNotMeet(t *testing.T) {
	ours, theirs := newPSK(t), newPSK(t)
	for over, at := range overTCPAndWebSocket {
		for name, keys := range map[string]struct{ dialer, listener *troupe.PSK }{
			"two keys": {ours, theirs}, "the dialer has none": {nil, ours}, "the listener has none": {ours, nil},
		} {
			t.Run(over+", "+name, func(t *testing.T) {
				n, d := newNode(t, member(keys.listener, at)), newNode(t, member(keys.dialer))
				began := time.Now()
				_, err := d.DialAddr(bounded(t), addr(n))
				var e *troupe.Error
				if !errors.Is(err, troupe.ErrDialFailed) || !errors.As(err, &e) {
					t.Fatalf("%v", err)
				}
				if keys.dialer != nil && (!errors.Is(err, upgrade.ErrKey) && !errors.Is(err, pnet.ErrPlain) || !strings.Contains(e.Next, "pre-shared key")) {
					t.Errorf("the dialer does not know why: %v", err)
				}
				if took := time.Since(began); took > upgrade.DefaultTimeout {
					t.Errorf("refused after %s", took)
				}
				until(t, "nobody half-open", func() bool {
					g, ok := find(n.Tree().Roots, ofKind("gate"))
					return ok && len(g.Children) == 0
				})
				nobody(t, n)
			})
		}
	}
}

// First bytes that another listener would take for its own are a nonce here, and nothing else: the
// only answer is a nonce, and then the end.
func TestAPrivateListenerKnowsNoFirstBytes(t *testing.T) {
	n := newNode(t, member(newPSK(t), overTCPAndWebSocket["tcp"]))
	_, port, _ := strings.Cut(n.ListenAddrs()[0].String(), "/tcp/")
	for name, first := range map[string]string{
		"HTTP":              "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		"TLS":               "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + strings.Repeat("r", 160),
		"libp2p in clear":   "\x13/multistream/1.0.0\n\x07/noise\n",
		"the identity once": strings.Repeat("x", 24) + "\x13/multistream/1.0.0\n",
	} {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("tcp", "127.0.0.1:"+port)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			_ = c.SetDeadline(time.Now().Add(patience))
			if _, err := io.WriteString(c, first); err != nil {
				t.Fatal(err)
			}
			got, _ := io.ReadAll(c) // an end or a reset: it has not read everything
			if len(got) > pnet.NonceLen || strings.Contains(string(got), "HTTP") {
				t.Errorf("it answers %q", got)
			}
		})
	}
	_, err := n.Listen(bounded(t), multiaddr(t, "/ip4/127.0.0.1/tcp/"+port+"/ws"))
	if !errors.Is(err, troupe.ErrListen) {
		t.Errorf("a port for TCP and WebSockets: %v", err)
	}
}

// Inside a WebSocket the handshake of HTTP is in the clear, as everywhere, and nothing behind it.
func TestAPrivateWebSocketSaysHTTPAndNothingElse(t *testing.T) {
	n := newNode(t, member(newPSK(t), overTCPAndWebSocket["websocket"]))
	_, port, _ := strings.Cut(strings.TrimSuffix(n.ListenAddrs()[0].String(), "/ws"), "/tcp/")
	c, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	in := bufio.NewReader(c)
	r, err := http.ReadResponse(in, nil)
	if err != nil || r.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", r, err)
	}
	_ = r.Body.Close()
	// One masked binary message: a nonce of zeros, and what is noise under any key.
	message := append([]byte{0x82, 0x80 | 60, 0, 0, 0, 0}, make([]byte, 60)...)
	if _, err := c.Write(message); err != nil {
		t.Fatal(err)
	}
	got, _ := io.ReadAll(in)
	if len(got) > 2+pnet.NonceLen+4 || len(got) < 2+pnet.NonceLen || got[0] != 0x82 || got[1] != pnet.NonceLen {
		t.Errorf("it answers %q", got)
	}
}

func TestAPrivateNetworkRefusesWhatItCannotCover(t *testing.T) {
	key, _ := newKey(t)
	hub := troupe.NewMemoryHub()
	lying := func(rt *actors.Runtime) (conduit.Transport, error) {
		return liar{memory.New(rt, memory.Config{Hub: hub, Muxed: true, Key: key.Public()})}, nil
	}
	for name, transport := range map[string]troupe.Transport{
		"connections of its own": troupe.MemoryMuxed(hub),
		"a handshake of its own": quic.Config{}.Transport,
		"another one":            webrtc.Config{}.Transport,
		"it does not say": func(rt *actors.Runtime) (conduit.Transport, error) {
			tr, err := troupe.TCP(rt)
			return struct{ conduit.Transport }{tr}, err
		},
	} {
		_, err := troupe.New(troupe.Config{PrivateNetwork: newPSK(t), Transports: []troupe.Transport{troupe.TCP, transport}})
		if !errors.Is(err, troupe.ErrConfig) || !strings.Contains(fmt.Sprint(err), "PrivateNetwork") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// One that is not what it says is found out when it brings a connection, to either side.
	credulous := newNode(t, func(c *troupe.Config) {
		c.Key, c.PrivateNetwork, c.Listen, c.Transports = key, newPSK(t), []string{"/memory/1"}, []troupe.Transport{lying}
	})
	other, _ := newKey(t)
	stranger := newNode(t, func(c *troupe.Config) {
		c.Key, c.Listen, c.Transports = other, []string{"/memory/2"}, []troupe.Transport{troupe.MemoryMuxed(hub)}
	})
	if _, err := credulous.DialAddr(bounded(t), addr(stranger)); !strings.Contains(fmt.Sprint(err), "not covered") {
		t.Errorf("a member dials: %v", err)
	}
	if err := errors.Join(func() error { _, err := stranger.DialAddr(bounded(t), addr(credulous)); return err }(), echoes(bounded(t), stranger, credulous, "x")); err == nil {
		t.Error("a stranger is served")
	}
	nobody(t, credulous)
}

type liar struct{ conduit.Transport }

func (liar) RawOnly() bool { return true }

func TestTheEnvironmentKeepsOutOfThePublicNetwork(t *testing.T) {
	t.Setenv(troupe.ForcePrivate, "1")
	if _, err := troupe.New(troupe.Config{}); !errors.Is(err, troupe.ErrConfig) || !strings.Contains(err.Error(), "LIBP2P_FORCE_PNET") {
		t.Errorf("without a key: %v", err)
	}
	newNode(t, member(newPSK(t)))
	t.Setenv(troupe.ForcePrivate, "0")
	newNode(t)
}

// What a stranger makes of our nonce may be the beginning of a message that it waits for. The dial ends
// by its own deadline then, and says no less.
func TestADialThatGetsNoAnswerSuspectsTheKey(t *testing.T) {
	d := newNode(t, member(newPSK(t)), func(c *troupe.Config) { c.DialTimeout = 50 * time.Millisecond })
	_, err := d.DialAddr(bounded(t), silent(t).String())
	var e *troupe.Error
	if !errors.Is(err, troupe.ErrDialFailed) || !errors.As(err, &e) || !strings.Contains(e.Next, "pre-shared key") {
		t.Errorf("%v", err)
	}
}

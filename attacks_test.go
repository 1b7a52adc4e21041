package troupe_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/negotiation/noise"
	"github.com/troupe-p2p/troupe/protocols/echo"
	"github.com/troupe-p2p/troupe/testkit/script"
	"github.com/troupe-p2p/troupe/transports/conduit"
	"github.com/troupe-p2p/troupe/transports/quic"
	"github.com/troupe-p2p/troupe/transports/unix"
	"github.com/troupe-p2p/troupe/transports/webrtc"
	"github.com/troupe-p2p/troupe/transports/websocket"
	"github.com/troupe-p2p/troupe/transports/webtransport"
)

// The attacks on what is below the muxer, by their numbers, over every transport that has the layer. In
// each of them an honest node goes on with what it does, and another one still gets in.
//
//	attacks_test.go           B1 to B8, B10: connections and their negotiation
//	attacks_linux_test.go     B9: descriptors
//	attacks_udp_test.go       B11: datagrams
//	attacks_identity_test.go  B12 to B15, B17, B18: who is there
//	attacks_tls_test.go       B16: certificates
//	attacks_private_test.go   B19: private networks

// ground is a transport to meet on.
type ground struct {
	name, listen string
	transport    troupe.Transport
	psk          *troupe.PSK // of its private network, if it is one
}

// streamGrounds have a negotiation of ours above a byte stream.
func streamGrounds(t *testing.T) []ground {
	return []ground{
		{name: "tcp", listen: "/ip4/127.0.0.1/tcp/0", transport: troupe.TCP},
		{name: "websocket", listen: "/ip4/127.0.0.1/tcp/0/ws", transport: websocket.Config{}.Transport},
		{name: "unix", listen: "/unix" + t.TempDir(), transport: unix.Config{}.Transport},
		{name: "memory", listen: "/memory/0", transport: troupe.Memory(troupe.NewMemoryHub())},
	}
}

// allGrounds are all of them.
func allGrounds(t *testing.T) []ground {
	return append(streamGrounds(t), datagramGrounds()...)
}

// datagramGrounds are those over UDP, with a negotiation of their own.
func datagramGrounds() []ground {
	return []ground{
		{name: "quic", listen: "/ip4/127.0.0.1/udp/0/quic-v1", transport: quic.Config{}.Transport},
		{name: "webtransport", listen: "/ip4/127.0.0.1/udp/0/quic-v1/webtransport", transport: webtransport.Config{}.Transport},
		{name: "webrtc", listen: "/ip4/127.0.0.1/udp/0/webrtc-direct", transport: webrtc.Config{HandshakeTimeout: deadline}.Transport},
	}
}

// on puts a node there.
func (g ground) on(c *troupe.Config) {
	c.Listen, c.Transports, c.PrivateNetwork = []string{g.listen}, []troupe.Transport{g.transport}, g.psk
}

// victim is a node under attack with an honest peer beside it.
type victim struct {
	*troupe.System
	t      *testing.T
	ground ground
	tr     conduit.Transport // the attacker's
}

// deadline is the victim's for a handshake. The honest have to be done in it, on a busy machine too.
const deadline = 2 * time.Second

// attacked plays an attack on each ground.
func attacked(t *testing.T, grounds []ground, play func(t *testing.T, v *victim), edit ...func(*troupe.Config)) {
	t.Helper()
	for _, g := range grounds {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			underAttack(t, g, play, edit...)
		})
	}
}

func underAttack(t *testing.T, g ground, play func(t *testing.T, v *victim), edit ...func(*troupe.Config)) {
	t.Helper()
	v := &victim{t: t, ground: g}
	v.System = newNode(t, append([]func(*troupe.Config){g.on, func(c *troupe.Config) { c.UpgradeTimeout = deadline }}, edit...)...)
	register(t, v.System, echo.Protocol, echo.Handler())
	rt := actors.Live(actors.Options{})
	t.Cleanup(func() { // after the peers of the script, before the nodes
		if left := rt.Close(context.Background()); len(left) > 0 {
			t.Errorf("left of the attacker: %v", left)
		}
	})
	var err error
	if v.tr, err = g.transport(rt); err != nil {
		t.Fatal(err)
	}
	end := v.beside()
	play(t, v)
	end()
	v.settled()
}

// beside has an honest node ask and be answered until the end is called, which also has another one come.
func (v *victim) beside() (end func()) {
	honest := newNode(v.t, v.ground.on)
	connect(v.t, honest, v.System)
	stop, done := make(chan struct{}), make(chan error, 1)
	ask := func() error {
		ctx, cancel := context.WithTimeout(v.t.Context(), patience)
		defer cancel()
		return echoes(ctx, honest, v.System, "beside")
	}
	go func() {
		for {
			if err := ask(); err != nil {
				done <- err
				return
			}
			select {
			case <-stop:
				done <- nil
				return
			default:
				pause()
			}
		}
	}()
	return func() {
		v.t.Helper()
		close(stop)
		if err := <-done; err != nil {
			v.t.Errorf("the honest peer beside: %v", err)
		}
		late := newNode(v.t, v.ground.on)
		connect(v.t, late, v.System)
		if err := echoes(bounded(v.t), late, v.System, "late"); err != nil {
			v.t.Errorf("an honest peer that comes later: %v", err)
		}
	}
}

// settled wants nobody half-open, and nobody connected but the two honest ones.
func (v *victim) settled() {
	v.t.Helper()
	until(v.t, "nobody is half-open", func() bool {
		g, ok := find(v.Tree().Roots, ofKind("gate"))
		return ok && len(g.Children) == 0
	})
	wantConns(v.t, v.System, 2)
}

// dial is a remote of the test's.
func (v *victim) dial(name string) *script.Peer {
	v.t.Helper()
	return script.Dial(v.t, script.Live(), v.tr, v.ListenAddrs()[0], script.Config{Name: name, Patience: patience})
}

// endsAtOnce wants an end long before the deadline.
func endsAtOnce(t *testing.T, p *script.Peer, began time.Time) {
	t.Helper()
	until(t, "the node ends it", func() bool { return p.Ended() != nil })
	if took := time.Since(began); took >= deadline {
		t.Errorf("it took %s\n%s", took, p.Dialogue())
	}
}

// endsAtTheDeadline wants an end then, whatever has happened meanwhile.
func endsAtTheDeadline(t *testing.T, p *script.Peer, began time.Time) {
	t.Helper()
	until(t, "the node's patience ends", func() bool { return p.Ended() != nil })
	if took := time.Since(began); took < deadline-deadline/10 {
		t.Errorf("it took %s, want %s\n%s", took, deadline, p.Dialogue())
	}
}

func proposeNoise(p *script.Peer) { p.Propose("the node speaks Noise", noise.ID) }

func TestB01SilentConnections(t *testing.T) {
	attacked(t, streamGrounds(t), func(t *testing.T, v *victim) {
		began := time.Now()
		var all []*script.Peer
		for i := range 50 {
			all = append(all, v.dial(fmt.Sprint(i)))
		}
		honest := newNode(t, v.ground.on)
		connect(t, honest, v.System) // the honest still get in
		honest.Disconnect(v.ID())
		for _, p := range all {
			endsAtTheDeadline(t, p, began)
		}
	}, func(c *troupe.Config) { c.Limits.HalfOpen = 60 })
}

func TestB02BytesThatDrip(t *testing.T) {
	attacked(t, streamGrounds(t), func(t *testing.T, v *victim) {
		began := time.Now()
		p := v.dial("drip")
		if p.Drip(200*time.Millisecond, script.Header, script.Protocol(noise.ID)) {
			t.Error("the node has listened to the end")
		}
		endsAtTheDeadline(t, p, began)
		began = time.Now()
		p = v.dial("drip in Noise")
		proposeNoise(p)
		h := p.Noise(script.Noise{})
		if p.Drip(200*time.Millisecond, script.Bytes(h.Message())) {
			t.Error("the node has listened to the end")
		}
		endsAtTheDeadline(t, p, began)
	})
}

func TestB03RemotesThatAreGone(t *testing.T) {
	attacked(t, streamGrounds(t), func(t *testing.T, v *victim) {
		silent, deaf := v.dial("silent"), v.dial("deaf")
		silent.Upgrade("the node is there", script.Noise{}) // and answers no ping
		deaf.Upgrade("the node is there", script.Noise{})
		deaf.Stall()
		wantConns(t, v.System, 3)
		until(t, "silence ends it", func() bool { return silent.Ended() != nil })
		wantConns(t, v.System, 1)
	}, func(c *troupe.Config) {
		c.Yamux.KeepAlive, c.Yamux.KeepAliveTimeout = 500*time.Millisecond, 500*time.Millisecond
	})
}

func TestB04ProposalsWithoutEnd(t *testing.T) {
	for name, say := range map[string]func(p *script.Peer){
		"proposals": func(p *script.Peer) {
			for i := range 10_000 {
				p.Send(script.Protocol(fmt.Sprintf("/no/%d", i)))
			}
		},
		"na": func(p *script.Peer) {
			for range 10_000 {
				p.Send(script.Protocol("na"))
			}
		},
		"ls": func(p *script.Peer) {
			for range 10_000 {
				p.Send(script.Protocol("ls"))
			}
		},
		"a long name":     func(p *script.Peer) { p.Send(script.Protocol(strings.Repeat("x", 1025))) },
		"without newline": func(p *script.Peer) { p.Send(script.Claim(3), script.Bytes("abc")) },
	} {
		t.Run(name, func(t *testing.T) {
			attacked(t, streamGrounds(t), func(t *testing.T, v *victim) {
				began := time.Now()
				p := v.dial(name)
				p.Send(script.Header)
				say(p)
				endsAtOnce(t, p, began)
			})
		})
	}
}

// varints are lengths that are none.
var varints = map[string]string{
	"ten bytes":   "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
	"eleven":      "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
	"not minimal": "\x93\x00/multistream/1.0.0\n",
	"2^63":        "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
	"gigabytes":   "\x80\x80\x80\x80\x10",
}

func TestB05FirstBytesOfOthers(t *testing.T) {
	for name, first := range map[string]string{
		"HTTP":      "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"TLS":       "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + strings.Repeat("r", 160),
		"TLS alert": "\x15\x03\x03\x00\x02\x02\x28",
		"garbage":   string(script.Garbage(7, 1000).Append(nil)),
		"zeros":     strings.Repeat("\x00", 1000),
	} {
		t.Run(name, func(t *testing.T) {
			attacked(t, streamGrounds(t), func(t *testing.T, v *victim) {
				began := time.Now()
				p := v.dial(name)
				p.Send(script.Bytes(first))
				endsAtOnce(t, p, began)
			})
		})
	}
}

func TestB06LengthsThatAreNone(t *testing.T) {
	for name, length := range varints {
		t.Run(name, func(t *testing.T) {
			attacked(t, streamGrounds(t), func(t *testing.T, v *victim) {
				began := time.Now()
				first, later := v.dial("at first"), v.dial("later")
				first.Send(script.Bytes(length))
				later.Send(script.Header, script.Bytes(length))
				endsAtOnce(t, first, began)
				endsAtOnce(t, later, began)
				half := v.dial("half a length")
				half.Send(script.Header, script.Bytes("\x93"))
				half.Close()
			})
		})
	}
}

func TestB07StallsAfterEachMessage(t *testing.T) {
	attacked(t, streamGrounds(t), func(t *testing.T, v *victim) {
		began := time.Now()
		var all []*script.Peer
		for _, s := range script.Steps() {
			p := v.dial(s.Name)
			s.Play(p)
			all = append(all, p)
		}
		for _, p := range all {
			endsAtTheDeadline(t, p, began)
		}
	})
}

func TestB08ResetsInEachState(t *testing.T) {
	upgraded := script.Step{Name: "upgraded", Play: func(p *script.Peer) { p.Upgrade("the node is there", script.Noise{}) }}
	attacked(t, streamGrounds(t), func(t *testing.T, v *victim) {
		for i := range 20 {
			for _, s := range append(script.Steps(), upgraded) {
				p := v.dial(fmt.Sprint(i))
				s.Play(p)
				if r, ok := p.Conduit().(conduit.Resetter); ok {
					_ = r.Reset()
				}
				p.Close()
			}
		}
	})
}

// TestB10ManyConnectionsWithOnePeer: both dial at the same time, one has more nodes than are allowed, and
// a node meets itself.
func TestB10ManyConnectionsWithOnePeer(t *testing.T) {
	attacked(t, allGrounds(t), func(t *testing.T, v *victim) {
		other := newNode(t, v.ground.on)
		register(t, other, echo.Protocol, echo.Handler())
		dialled := make(chan error, 2)
		for _, d := range []struct{ from, to *troupe.System }{{v.System, other}, {other, v.System}} {
			go func() {
				_, err := d.from.DialAddr(bounded(t), addr(d.to))
				dialled <- err
			}()
		}
		if err := errors.Join(<-dialled, <-dialled); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(echoes(bounded(t), v.System, other, "a"), echoes(bounded(t), other, v.System, "b")); err != nil {
			t.Error(err)
		}
		_, err := v.DialAddr(bounded(t), addr(v.System))
		wantError(t, err, troupe.ErrSelf)

		key, err := identity.GenerateKey(identity.Ed25519, zero{})
		if err != nil {
			t.Fatal(err)
		}
		id, _ := identity.IDFromKey(key.Public())
		with := func() (n int) {
			all, err := v.Conns(bounded(t))
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range all {
				if c.Peer == id {
					n++
				}
			}
			return n
		}
		var twins []*troupe.System
		for range 6 {
			twin := newNode(t, v.ground.on, func(c *troupe.Config) { c.Key = key })
			twins = append(twins, twin)
			connect(t, twin, v.System)
			if n := with(); n > 4 { // one makes room for the newcomer
				t.Fatalf("%d connections with one peer", n)
			}
		}
		until(t, "connections with one peer", func() bool { return with() == 3 })
		for _, twin := range twins { // a connection of theirs may be on its way still
			if err := twin.Close(bounded(t)); err != nil {
				t.Error(err)
			}
		}
		until(t, "none of them is left", func() bool { return with() == 0 })
		v.Disconnect(other.ID())
	}, func(c *troupe.Config) { c.Limits.ConnsPerPeer, c.UpgradeTimeout = 3, patience })
}

// zero is a random source that is none.
type zero struct{}

func (zero) Read(p []byte) (int, error) { clear(p); return len(p), nil }

package troupe_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/protocols/echo"
	"github.com/troupe-p2p/troupe/transports/quic"
	"github.com/troupe-p2p/troupe/transports/unix"
	"github.com/troupe-p2p/troupe/transports/webrtc"
	"github.com/troupe-p2p/troupe/transports/websocket"
	"github.com/troupe-p2p/troupe/transports/webtransport"
)

// Whatever carries the bytes: an adapter that breaks, or whose listener is killed, while connections
// carry traffic is bound again at the same place by its supervisor, serves newcomers, and those who
// were there have noticed nothing.
func TestAKilledAdapterComesBackUnderTraffic(t *testing.T) {
	hub, muxed := troupe.NewMemoryHub(), troupe.NewMemoryHub()
	ws, sockets := websocket.Config{}.Transport, unix.Config{}.Transport
	for name, c := range map[string]struct {
		listen    string
		transport troupe.Transport
		private   bool
	}{
		"tcp":                {"/ip4/127.0.0.1/tcp/0", troupe.TCP, false},
		"tcp, private":       {"/ip4/127.0.0.1/tcp/0", troupe.TCP, true},
		"websocket":          {"/ip4/127.0.0.1/tcp/0/ws", ws, false},
		"websocket, private": {"/ip4/127.0.0.1/tcp/0/ws", ws, true},
		"quic":               {"/ip4/127.0.0.1/udp/0/quic-v1", quic.Config{}.Transport, false},
		"webtransport":       {"/ip4/127.0.0.1/udp/0/quic-v1/webtransport", webtransport.Config{}.Transport, false},
		"webrtc":             {"/ip4/127.0.0.1/udp/0/webrtc-direct", webrtc.Config{}.Transport, false},
		"unix":               {"/unix" + t.TempDir(), sockets, false},
		"unix, private":      {"/unix" + t.TempDir(), sockets, true},
		"memory":             {"/memory/1", troupe.Memory(hub), false},
		"memory, muxed":      {"/memory/2", troupe.MemoryMuxed(muxed), false},
	} {
		t.Run(name, func(t *testing.T) {
			psk := newPSK(t)
			over := func(listen ...string) func(*troupe.Config) {
				key, _ := newKey(t)
				return func(cfg *troupe.Config) {
					cfg.Key, cfg.Listen = key, listen
					cfg.Transports = []troupe.Transport{c.transport}
					if c.private {
						cfg.PrivateNetwork = psk
					}
				}
			}
			var a adapter
			n := newNode(t, over(c.listen), a.use)
			register(t, n, echo.Protocol, echo.Handler())
			at := n.ListenAddrs()[0]
			old := newNode(t, over())
			connect(t, old, n)

			// Traffic that does not stop for what follows.
			held := heldStream(t, old, n)
			var stop atomic.Bool
			var rounds atomic.Int64
			traffic := make(chan error, 1)
			go func() {
				for !stop.Load() {
					if err := roundTrip(held, strings.Repeat("busy ", 5000)); err != nil {
						traffic <- err
						return
					}
					rounds.Add(1)
				}
				traffic <- nil
			}()
			for i, lose := range []func(){
				func() { a.fail(errors.New("the adapter broke")) },
				func() { n.Runtime().Kill(pathOf(t, n, "listener"), "a test") },
				func() { a.fail(errors.New("and again")) },
			} {
				before := rounds.Load()
				until(t, "traffic before", func() bool { return rounds.Load() > before+2 })
				lose()
				until(t, "a new listener", func() bool {
					a.mu.Lock()
					defer a.mu.Unlock()
					return len(a.listeners) >= i+2
				})
				until(t, "the same address", func() bool {
					all := n.ListenAddrs()
					return len(all) == 1 && all[0].Equal(at)
				})
				fresh := newNode(t, over())
				connect(t, fresh, n)
				if err := echoes(bounded(t), fresh, n, "served again"); err != nil {
					t.Fatal(err)
				}
				before = rounds.Load()
				until(t, "traffic behind", func() bool { return rounds.Load() > before+2 })
			}
			stop.Store(true)
			if err := <-traffic; err != nil {
				t.Fatalf("those who were there noticed: %v", err)
			}
			// Another peer than the one that is wanted is found out, wherever it is found out.
			_, wanted := newKey(t)
			if _, err := newNode(t, over()).Dial(bounded(t), wanted, at); !errors.Is(err, troupe.ErrIdentityMismatch) {
				t.Errorf("somebody else: %v", err)
			}
		})
	}
}

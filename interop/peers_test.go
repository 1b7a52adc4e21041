package interop_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/interop/control"
	"github.com/troupe-p2p/troupe/interop/harness"
)

// TestPeersGo and TestPeersJS show that the foreign peers can do among themselves what they
// will be asked to do with Troupe.
func TestPeersGo(t *testing.T) { peersAmongThemselves(t, "go", "go") }

func TestPeersJS(t *testing.T) {
	peersAmongThemselves(t, "go", "js")
	peersAmongThemselves(t, "js", "go")
}

func peersAmongThemselves(t *testing.T, dialer, listener string) {
	keys := keyTypes["go"]
	if dialer != listener {
		keys = keyTypes["js"]
	}
	for i, security := range []string{"noise", "tls"} {
		for j, early := range []bool{true, false} {
			key := keys[(2*i+j)%len(keys)]
			t.Run(fmt.Sprintf("%s to %s/%s/early=%v/%s", dialer, listener, security, early, key), func(t *testing.T) {
				cfg := harness.PeerConfig{Kind: listener, Security: security, Key: key, Listen: true}
				server := harness.StartPeer(t, cfg)
				client := harness.StartPeer(t, harness.PeerConfig{Kind: dialer, Security: security, NoEarly: !early})
				pingsBack(t, client, server.Addr(), security, early)
				identifies(t, client, subject{
					id: server.ID, addr: server.Addr(), key: key, agent: agents[listener],
					protocols: []string{control.EchoProtocol, control.ResetProtocol},
				})
				exercise(t, client, server.Addr(), light)
			})
		}
	}
}

func TestPeersShowResetCodesGo(t *testing.T) {
	server := harness.StartPeer(t, harness.PeerConfig{Listen: true})
	client := harness.StartPeer(t, harness.PeerConfig{})
	r := client.Must(t, "go-libp2p shows the code of a remote's reset", control.Request{
		Cmd: control.Poke, Addr: server.Addr(), Protocol: control.ResetProtocol, Bytes: 4, Count: 100, Concurrency: 10,
	})
	const sent = "0x1010101" // the four bytes of bait, which the protocol takes as the code
	if r.Endings.RemoteReset[sent] != 100 || !r.Endings.ConnAlive {
		t.Fatalf("want 100 resets with %s on a living connection, got %+v", sent, r.Endings)
	}
}

func TestPeersChurnAndDialGo(t *testing.T) {
	server := harness.StartPeer(t, harness.PeerConfig{Listen: true})
	client := harness.StartPeer(t, harness.PeerConfig{})
	r := client.Must(t, "rounds of dial, echo, close", control.Request{
		Cmd: control.Churn, Addr: server.Addr(), Count: 64, Concurrency: 16, Bytes: 100,
	})
	if r.Dials.OK != 64 || r.Dials.Failed != 0 {
		t.Fatalf("want 64 rounds, got %+v", r.Dials)
	}
	r = client.Must(t, "new connections at a steady pace", control.Request{
		Cmd: control.Dials, Addr: server.Addr(), Count: 20, IntervalMS: 5,
	})
	if r.Dials.OK != 20 || r.Dials.P99 <= 0 {
		t.Fatalf("want 20 dials with latencies, got %+v", r.Dials)
	}
	stats := client.Must(t, "nothing stays open", control.Request{Cmd: control.Stats}).Stats
	if stats.Connections != 0 {
		t.Fatalf("%d connections are left", stats.Connections)
	}
}

func TestPeersPerfGo(t *testing.T) {
	server := harness.StartPeer(t, harness.PeerConfig{Listen: true})
	client := harness.StartPeer(t, harness.PeerConfig{})
	r := client.Must(t, "perf moves what was asked for", control.Request{
		Cmd: control.Perf, Addr: server.Addr(), Bytes: 8 << 20, Download: 8 << 20,
	})
	if r.Transfer.Bytes != 16<<20 {
		t.Fatalf("%d bytes were moved, want %d", r.Transfer.Bytes, 16<<20)
	}
}

// TestPeersSlowReaderGo shows that the witness of the slow-reader scenario works: go-libp2p's
// own windows keep the writer close to a reader of that pace.
func TestPeersSlowReaderGo(t *testing.T) {
	server := harness.StartPeer(t, harness.PeerConfig{Listen: true})
	client := harness.StartPeer(t, harness.PeerConfig{})
	const bytes, rate = 4 << 20, 4 << 20
	r := client.Must(t, "all bytes arrive at a slow pace", control.Request{
		Cmd: control.Echo, Addr: server.Addr(), Bytes: bytes, Rate: rate,
	})
	if r.Transfer.MS < 900 {
		t.Errorf("4 MiB at 4 MiB/s took %.0f ms", r.Transfer.MS)
	}
	if r.Transfer.MaxAhead <= 0 || r.Transfer.MaxAhead > bytes {
		t.Errorf("the writer was %d bytes ahead", r.Transfer.MaxAhead)
	}
}

// TestPeersAttackLinux shows that the attacks land: go-libp2p lets mute connections wait. Only
// Linux lets a program come from any address of 127/8.
func TestPeersAttackLinux(t *testing.T) {
	victim := harness.StartPeer(t, harness.PeerConfig{Listen: true})
	for _, sources := range []string{"1", "100"} {
		flood := harness.StartAttack(t, "silent", victim.Addr(), "-conns", "100", "-sources", sources)
		if seen := flood.Stop(t); seen.Dials < 100 || seen.Refused != 0 {
			t.Errorf("from %s addresses: want 100 mute connections, got %+v", sources, seen)
		}
	}
	storm := harness.StartAttack(t, "syn-rst", victim.Addr(), "-bytes", "240000", "-for", "1s")
	if seen := storm.Wait(t, 10*time.Second); seen.BytesSent < 240000 || seen.ClosedBy != 0 {
		t.Errorf("want a storm of 240,000 bytes that go-libp2p takes, got %+v", seen)
	}
	mute := harness.StartAttack(t, "never-read", victim.Addr(), "-for", "2s")
	if seen := mute.Wait(t, 10*time.Second); seen.BytesSent == 0 {
		t.Errorf("want pings sent without end, got %+v", seen)
	}
}

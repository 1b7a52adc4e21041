package interop_test

import (
	"fmt"
	"testing"

	"github.com/troupe-p2p/troupe/interop/control"
	"github.com/troupe-p2p/troupe/interop/harness"
)

// TestFullMatrixGo and TestFullMatrixJS run through security, muxer negotiation and the key
// types of both sides; in each cell both sides dial, ping and identify each other.
func TestFullMatrixGo(t *testing.T) { fullMatrix(t, "go") }
func TestFullMatrixJS(t *testing.T) { fullMatrix(t, "js") }

func fullMatrix(t *testing.T, kind string) {
	keys := keyTypes[kind]
	for i, nodeKey := range keys {
		t.Run("troupe "+nodeKey, func(t *testing.T) {
			node := harness.StartNode(t, harness.NodeConfig{Key: nodeKey})
			cell := i // rotates the peer's key, so that every type meets every security
			for _, security := range []string{"noise", "tls"} {
				for _, early := range []bool{true, false} {
					cfg := harness.PeerConfig{
						Kind: kind, Security: security, NoEarly: !early, Key: keys[cell%len(keys)], Listen: true,
					}
					cell++
					t.Run(cfg.String(), func(t *testing.T) {
						meets(t, node, nodeKey, harness.StartPeer(t, cfg), security, early)
					})
				}
			}
		})
	}
}

// TestFullBulkGo and TestFullBulkJS are the heavy exercise: 64 MiB on 16 streams, a half-close,
// a reset and 1,000 streams in sequence, on one connection.
func TestFullBulkGo(t *testing.T) { fullBulk(t, "go") }
func TestFullBulkJS(t *testing.T) { fullBulk(t, "js") }

func fullBulk(t *testing.T, kind string) {
	node := harness.StartNode(t, harness.NodeConfig{Serve: "echo"})
	for _, security := range []string{"noise", "tls"} {
		for _, early := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/early=%v", security, early), func(t *testing.T) {
				p := harness.StartPeer(t, harness.PeerConfig{Kind: kind, Security: security, NoEarly: !early})
				exercise(t, p, node.Addr(), heavy)
			})
		}
	}
}

func TestFullPerfGo(t *testing.T) {
	node := harness.StartNode(t, harness.NodeConfig{Serve: "perf"})
	p := harness.StartPeer(t, harness.PeerConfig{})
	r := p.Must(t, "perf by the spec: upload, then download", control.Request{
		Cmd: control.Perf, Addr: node.Addr(), Bytes: 32 << 20, Download: 32 << 20,
	})
	if r.Transfer.Bytes != 64<<20 {
		t.Errorf("%d bytes were moved, want %d", r.Transfer.Bytes, 64<<20)
	}
}

// TestFullUnknownProtocolGo: a protocol that nobody serves costs its stream and nothing else.
func TestFullUnknownProtocolGo(t *testing.T) {
	node := harness.StartNode(t, harness.NodeConfig{Serve: "echo"})
	p := harness.StartPeer(t, harness.PeerConfig{})
	r := p.Must(t, "streams for a protocol that is not served", control.Request{
		Cmd: control.Poke, Addr: node.Addr(), Protocol: "/troupe/nobody/1.0.0", Count: 20, Concurrency: 5,
	})
	if r.Endings.Opened != 0 || r.Endings.EOF != 0 || !r.Endings.ConnAlive {
		t.Errorf("want 20 refusals on a living connection, got %+v", r.Endings)
	}
	exercise(t, p, node.Addr(), light)
}

// TestFullGoAndJSPingAtOnce has both foreign peers ping one node at the same time.
func TestFullGoAndJSPingAtOnce(t *testing.T) {
	node := harness.StartNode(t, harness.NodeConfig{})
	const pings = 200
	var waits []func() (control.Reply, error)
	for _, kind := range []string{"go", "js"} {
		p := harness.StartPeer(t, harness.PeerConfig{Kind: kind})
		p.Must(t, "connects", control.Request{Cmd: control.Connect, Addr: node.Addr()})
		waits = append(waits, p.Begin(control.Request{Cmd: control.Ping, Addr: node.Addr(), Count: pings}, heavy.timeout))
	}
	for _, wait := range waits {
		r, err := wait()
		if err != nil {
			t.Fatal(err)
		}
		if len(r.RTTs) != pings {
			t.Errorf("%d of %d pings came back", len(r.RTTs), pings)
		}
	}
}

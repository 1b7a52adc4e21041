package testkit

import (
	"github.com/troupe-p2p/troupe/testkit/script"
	"github.com/troupe-p2p/troupe/testkit/simnet"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// Peer is a remote that a test plays by hand, at any layer, well or badly: see package script.
type Peer = script.Peer

// Peer puts a scripted remote on a host of its own and connects it to a node. What is above TCP is
// up to the test.
func (w *World) Peer(name string, to *Node, cfg script.Config) *Peer {
	w.t.Helper()
	return script.Dial(w.t, w, w.Host(name), to.ListenAddrs()[0], cfg)
}

// Host adds a host without a node, for scripted remotes, and gives its transport.
func (w *World) Host(name string) conduit.Transport {
	w.t.Helper()
	h, err := w.Net.Host(name, simnet.HostOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return h.Transport(w.Sim.Runtime(), simnet.TransportConfig{})
}

// Package matrix is the table of who has met whom by the official contract: its cells, what the
// peers do not have and why, and the page that it is written to.
package matrix

import (
	"slices"

	"github.com/troupe-p2p/troupe/interop/contract"
)

// Cell is what two peers are told to use. A transport that brings its own security and muxer has
// neither here.
type Cell struct{ Transport, Security, Muxer string }

func (c Cell) String() string {
	if c.Security == "" {
		return c.Transport
	}
	return c.Transport + ", " + c.Security + ", " + c.Muxer
}

// Pair is who dials whom.
type Pair struct{ Dialer, Listener string }

// The peers.
const (
	Troupe = "troupe"
	Go     = "go"
	JS     = "js"
)

// Peers are all of them, ours first.
var Peers = []string{Troupe, Go, JS}

// Cells are all that the contract knows, in its own order.
func Cells() []Cell {
	var out []Cell
	for _, t := range contract.Transports {
		if t.Standalone {
			out = append(out, Cell{Transport: t.Name})
			continue
		}
		for _, m := range contract.Muxers {
			for _, s := range contract.Securities {
				out = append(out, Cell{t.Name, s, m})
			}
		}
	}
	return out
}

// Pairs are all that can be made: what Troupe takes part in comes first.
func Pairs() []Pair {
	var ours, theirs []Pair
	for _, d := range Peers {
		for _, l := range Peers {
			if p := (Pair{d, l}); d == Troupe || l == Troupe {
				ours = append(ours, p)
			} else {
				theirs = append(theirs, p)
			}
		}
	}
	return append(ours, theirs...)
}

// Lack is something of the contract that a peer does not have. The tests hold the peer to it: one
// that takes the word after all fails them.
type Lack struct{ Peer, Word, Why string }

const notYet = "is not built yet"

// Lacks are all of them.
var Lacks = []Lack{
	{Troupe, "webrtc", notYet},
	{Troupe, "mplex", "has no flow control and is deprecated (libp2p/specs, pull request 661)"},
	{Go, "webrtc", "it has webrtc-direct and no signalling over a relay"},
	{Go, "mplex", "it has left go-libp2p for a module of its own, which its peer in test-plans does not use either"},
	{JS, "webtransport", "it dials this from browsers, Node has no WebTransport, and nothing of it listens"},
	{JS, "webrtc", "its listener takes a relay beside it, and nobody else here could dial it"},
}

// Lacking are the reasons why a pair cannot meet in a cell, if there are any.
func Lacking(c Cell, p Pair) []Lack {
	var out []Lack
	for _, l := range Lacks {
		if (l.Peer == p.Dialer || l.Peer == p.Listener) && slices.Contains([]string{c.Transport, c.Security, c.Muxer}, l.Word) {
			out = append(out, l)
		}
	}
	return out
}

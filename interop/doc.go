// Package interop holds the tests that let Troupe meet go-libp2p and js-libp2p. It is a module
// of its own, so that their dependencies are not ours.
//
//	Peers     the foreign peers among themselves: what they cannot do, nobody can blame on Troupe
//	Outbound  a program made of Troupe's public packages, against foreign peers, both ways
//	Smoke     a handful of everything, with each foreign peer, within a minute
//	Full      the matrix: directions, security, muxer negotiation, key types, bulk, endings; and who
//	          meets whom by the contract of libp2p's official tests, which MATRIX.md shows; and
//	          a page of js-libp2p in headless Chromium (browser/), by each transport that browsers have
//	Robust    attacks and faults with foreign peers as witnesses; minutes
//
// The words above begin the names of the tests, with Go or JS behind them where only one foreign
// peer takes part: `go test -run 'Smoke.*Go'` needs nothing but Go.
package interop

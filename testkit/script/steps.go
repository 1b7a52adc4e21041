package script

import "github.com/troupe-p2p/troupe/negotiation/noise"

// Step is how far an honest dialler's upgrade has come, for a test in which it falls silent there or is
// cut off.
type Step struct {
	Name string
	// Play leads a peer there that has dialled and said nothing yet.
	Play func(p *Peer)
}

// Steps are those before the upgrade is done, in their order. Upgrade goes the whole way.
func Steps() []Step {
	const why = "the node proves itself"
	propose := func(p *Peer) { p.Propose("the node speaks Noise", noise.ID) }
	greet := func(p *Peer) {
		p.Send(Header)
		p.Want("the node greets back", Header)
	}
	secure := func(p *Peer) {
		propose(p)
		p.Noise(Noise{}).Run(why)
	}
	// key has told the ephemeral key and heard the node's proof.
	key := func(p *Peer) *Handshake {
		propose(p)
		h := p.Noise(Noise{})
		h.Send()
		h.Want(why)
		return h
	}
	return []Step{
		{"nothing said", func(*Peer) {}},
		{"half a header", func(p *Peer) { p.Send(Truncated(Header, 9)) }},
		{"a header", greet},
		{"agreed on Noise", propose},
		{"an ephemeral key", func(p *Peer) { key(p) }},
		{"half a proof", func(p *Peer) { p.Send(Truncated(Bytes(key(p).Message()), 50)) }},
		{"secured", secure},
		{"a header inside of Noise", func(p *Peer) { secure(p); greet(p) }},
	}
}

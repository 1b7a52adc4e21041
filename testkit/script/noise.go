package script

import (
	"slices"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/mux/yamux"
	"github.com/troupe-p2p/troupe/negotiation/noise"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// MuxerID is the muxer's name in negotiations.
const MuxerID = "/yamux/1.0.0"

// Noise says how a peer shakes hands.
type Noise struct {
	// Responder makes a peer that has dialled wait for the remote's first message, Initiator
	// one that was dialled send it. Default: who has dialled begins.
	Responder, Initiator bool
	// Key is who the peer is. Default: an Ed25519 key of the peer's own randomness.
	Key identity.PrivateKey
	// Claim is who the peer says it is, with a signature of Key, which proves nothing then.
	// Default: whose key Key is.
	Claim identity.PublicKey
	// Expect makes the handshake fail if the remote is another peer. Default: any.
	Expect identity.ID
	// Muxers are proposed inside the handshake. Default: none, they are negotiated later.
	Muxers []string
	// Prologue binds the handshake to something. Default: nothing.
	Prologue []byte
	// Frame is the plaintext of a full record in bytes. Default: the project's own.
	Frame int
}

// Handshake is a Noise handshake under way. The peer's channel carries plaintext when it is done.
type Handshake struct {
	p      *Peer
	core   *noise.Handshake
	due    []byte
	result *noise.Result
	done   bool
}

// Noise begins a handshake. Nothing is sent yet.
func (p *Peer) Noise(n Noise) *Handshake {
	p.t.Helper()
	key := n.Key
	if key == nil {
		key = p.NewKey()
	}
	if n.Claim != nil {
		key = forged{key, n.Claim}
	}
	static, err := noise.NewStatic(key, p.rand)
	if err != nil {
		p.t.Fatal(err)
	}
	initiator := p.dialled() && !n.Responder || n.Initiator
	core, err := noise.New(noise.Config{
		Initiator: initiator, Static: static, Rand: p.rand, Expect: n.Expect, Muxers: n.Muxers,
		Prologue: n.Prologue, Frame: n.Frame,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return &Handshake{p: p, core: core}
}

// NewKey draws an identity from the peer's randomness.
func (p *Peer) NewKey() identity.PrivateKey {
	p.t.Helper()
	k, err := identity.GenerateKey(identity.Ed25519, p.rand)
	if err != nil {
		p.t.Fatal(err)
	}
	return k
}

func (p *Peer) dialled() bool { return p.raw.Endpoints().Direction == conduit.Outbound }

// forged is a key that shows another's public half.
type forged struct {
	identity.PrivateKey
	claim identity.PublicKey
}

func (f forged) Public() identity.PublicKey { return f.claim }

// Message is the message that is due, if any, for a test that sends it by hand, whole or spoiled. It
// counts as sent; the next call of Send, Want or Run goes on from there.
func (h *Handshake) Message() []byte {
	m := h.core.AppendOutput(h.due)
	h.due = nil
	return m
}

// Send sends the message that is due.
func (h *Handshake) Send() {
	h.due = h.core.AppendOutput(h.due)
	if len(h.due) > 0 {
		h.p.Channel.Send(named{"the noise message that is due", h.due})
		h.due = nil
	}
	h.settle()
}

// Want waits for the remote's next message, which must be a good one.
func (h *Handshake) Want(reason string) {
	h.p.t.Helper()
	msg := h.p.take(reason, AnyRecord)
	if _, err := h.core.HandleBytes(slices.Clone(msg)); err != nil {
		h.p.fail(reason, "a good handshake message", AnyRecord, err.Error())
	}
	h.settle()
}

// Run plays what is left of the handshake by the rules and returns who the remote is.
func (h *Handshake) Run(reason string) identity.ID {
	h.p.t.Helper()
	for {
		if h.Send(); h.done {
			return h.result.Peer
		}
		h.Want(reason)
	}
}

// Muxer is the one that was agreed on inside the handshake; "" if none was.
func (h *Handshake) Muxer() string {
	if h.result == nil {
		return ""
	}
	return h.result.Muxer
}

// settle makes the channel secure when both sides have said everything.
func (h *Handshake) settle() {
	r, ok := h.core.Done()
	if !ok || h.done {
		return
	}
	h.result = r
	if h.due = h.core.AppendOutput(h.due); len(h.due) > 0 {
		return // the last message goes in the clear
	}
	h.done = true
	h.p.mu.Lock()
	h.p.note("-- noise is up with %s", r.Peer)
	h.p.secure(r.Open, r.Seal)
	h.p.mu.Unlock()
}

// Upgrade plays a whole upgrade by the rules: multistream-select for Noise, Noise, and
// multistream-select for yamux if that was not agreed on inside of Noise. It returns who the
// remote is.
func (p *Peer) Upgrade(reason string, n Noise) identity.ID {
	p.t.Helper()
	negotiate := p.Answer
	if p.dialled() {
		negotiate = p.Propose
	}
	negotiate(reason, noise.ID)
	h := p.Noise(n)
	remote := h.Run(reason)
	if h.Muxer() == "" {
		negotiate(reason, MuxerID)
	}
	return remote
}

// role is the peer's in yamux.
func (p *Peer) role() yamux.Role {
	if p.dialled() {
		return yamux.Client
	}
	return yamux.Server
}

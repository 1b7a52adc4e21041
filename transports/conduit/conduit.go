// Package conduit holds the two contracts between transports and the rest of the node.
//
// A Raw conduit is a reliable byte stream (TCP, WebSocket, a relayed stream): it pushes what it
// reads to one Sink and takes bytes without ever blocking. Security and multiplexing are put on
// top of it. A Muxed conduit is already secured and multiplexed (QUIC, WebTransport, WebRTC):
// it knows its peer and carries streams.
//
//	read   pump --Offer(buf)--> Sink ... Sink done with buf --More()--> pump reads on
//	write  owner --TryWrite(p)--> n taken; rest --Drain(p)--> ... --Drained(err)--> Sink
//
// Nothing here blocks the caller. The package is a leaf: data and interfaces only.
package conduit

import (
	"context"

	"github.com/troupe-p2p/troupe/identity"

	ma "github.com/multiformats/go-multiaddr"
)

// Direction says who opened a connection.
type Direction uint8

const (
	// Inbound connections were accepted by a listener of this node.
	Inbound Direction = iota + 1
	// Outbound connections were dialled by this node.
	Outbound
)

func (d Direction) String() string {
	switch d {
	case Inbound:
		return "inbound"
	case Outbound:
		return "outbound"
	}
	return "unknown"
}

// Endpoints are the addresses of a connection, without /p2p components.
type Endpoints struct {
	Local, Remote ma.Multiaddr
	Direction     Direction
	Transport     string // the adapter's name: "tcp", "memory", ...
}

// Sink is what the owner of a Raw conduit gives to Bind. Its methods are called from the
// conduit's own goroutine (live) or turn (simulated), one at a time, and must not block.
type Sink interface {
	// Offer hands over one buffer of read bytes, which the sink owns from now on. It used
	// up one read credit: the conduit reads on when More has been called for it.
	Offer(b *Buf)
	// Drained says that the bytes of the last Drain are written (err == nil) or lost.
	Drained(err error)
	// Ended says that nothing more will be read: io.EOF after an orderly end, another error
	// else (*actors.PanicError if the reader itself failed). Called at most once.
	Ended(err error)
}

// Leader is a Sink that leaves some of what an offer causes to the goroutine that offered.
type Leader interface {
	Sink
	// Lead is Offer for a caller that will have an actors.Lender run what is returned, or Post it, once it
	// holds no lock. nil: nothing is left.
	Lead(b *Buf) Rest
}

// Rest is what a Leader leaves. It is actors.Rest: this package knows no actors.
type Rest interface {
	// Post has another goroutine run it.
	Post()
}

// Raw is a byte conduit with one owner at a time.
type Raw interface {
	Endpoints() Endpoints
	// Bind makes s the receiver of everything read from now on and grants read credits (at
	// least 1; one credit allows one Offer). The first Bind starts the reader. A later Bind
	// hands the conduit to a new owner: the old one must have no credit outstanding.
	Bind(s Sink, credits int)
	// More grants one more read credit.
	More()
	// TryWrite writes what fits into the socket right now and returns how much that was;
	// 0 and nil when nothing fits. It must not be called while a Drain is under way.
	TryWrite(p []byte) (int, error)
	// Drain takes over p until Sink.Drained is called with the outcome.
	Drain(p []byte)
	// Close ends both directions at once. Idempotent; never blocks; Sink.Ended follows
	// unless it was called before.
	Close() error
}

// Resetter is a Raw conduit that lets go of a remote that does not read. Close leaves it to the
// system to deliver what was written, which takes as long as the remote likes; in the meantime
// the remote may not even notice.
type Resetter interface {
	// Reset is Close, but what the remote has not taken by now is dropped, and it is told so.
	Reset() error
}

// Poller is a Raw conduit that can be read without waiting, beside its reader. Who writes much keeps a
// processor busy; where there is no other one the reader has to wait for it, and so has everybody who
// waits for what it reads.
type Poller interface {
	// Poll offers some of what has come, on the caller's goroutine, and says whether there was any. It
	// never waits for the remote, and leaves one credit to the reader. It may be called within a method
	// of the sink, and then does nothing.
	Poll() bool
}

// Reset drops a conduit whose remote is at fault. Those that are no Resetter are closed.
func Reset(c Raw) error {
	if r, ok := c.(Resetter); ok {
		return r.Reset()
	}
	return c.Close()
}

// Muxed is a secured connection that carries streams by itself.
type Muxed interface {
	Endpoints() Endpoints
	// Peer is the authenticated remote.
	Peer() identity.ID
	PublicKey() identity.PublicKey
	// Bind makes s the receiver of everything that happens from now on.
	Bind(s MuxedSink)
	// OpenStream opens a stream; ErrBlocked-like errors are temporary when the remote has
	// not granted a stream, and MuxedSink.CanOpen follows.
	OpenStream() (MuxedStream, error)
	// Close ends the connection and tells the remote the code where the wire can carry it.
	Close(code uint32, reason string) error
}

// MuxedSink receives the events of a Muxed conduit. Methods must not block.
type MuxedSink interface {
	// Accepted hands over a stream that the remote opened.
	Accepted(s MuxedStream)
	// CanOpen says that OpenStream, which was refused, may work now.
	CanOpen()
	// Ended is the last call: code and whether the remote sent it.
	Ended(code uint32, remote bool, err error)
}

// MuxedStream is one stream of a Muxed conduit. Its read side pushes to a StreamSink with the
// same credit rule as Raw.
type MuxedStream interface {
	ID() uint64
	Bind(s StreamSink, credits int)
	More()
	// TryWrite takes what the flow control window allows now; StreamSink.Writable follows
	// when it took less than len(p).
	TryWrite(p []byte) (int, error)
	// CloseWrite ends our direction in order (FIN).
	CloseWrite() error
	// CloseRead tells the remote, where the wire can, that we read no more.
	CloseRead(code uint32) error
	// Reset ends both directions at once with a code.
	Reset(code uint32) error
}

// StreamSink receives what happens on a MuxedStream.
type StreamSink interface {
	Offer(b *Buf)
	Writable()
	// RemoteClosed says that the remote ended its direction in order.
	RemoteClosed()
	// Reset says that the stream is gone: the remote's code, or a local failure.
	Reset(code uint32, remote bool, err error)
}

// Conduit is what a transport yields: exactly one of the two is set.
type Conduit struct {
	Raw   Raw
	Muxed Muxed
}

// Endpoints of whichever kind is set.
func (c Conduit) Endpoints() Endpoints {
	if c.Raw != nil {
		return c.Raw.Endpoints()
	}
	return c.Muxed.Endpoints()
}

// Abandon closes a conduit that nobody wants, at once.
func (c Conduit) Abandon() {
	if c.Raw != nil {
		_ = c.Raw.Close()
	}
	if c.Muxed != nil {
		_ = c.Muxed.Close(0, "")
	}
}

// Transport is an adapter for one kind of address. All methods return at once; what takes time
// goes on behind them and ends in a callback.
type Transport interface {
	// Name is the short name shown to people: "tcp".
	Name() string
	// CanDial and CanListen say whether the address is of this transport's kind.
	CanDial(a ma.Multiaddr) bool
	CanListen(a ma.Multiaddr) bool
	// Dial connects to a (resolved, without /p2p). done is called exactly once, from another
	// goroutine or a later turn. When ctx ends first, done gets ctx's error.
	// expect is the peer that the caller wants; Muxed transports must verify it. An error with methods
	// ByRemote and Timeout, both without arguments and of type bool, tells a network that swallows
	// addresses from one that refuses, and from a fault of this machine.
	Dial(ctx context.Context, a ma.Multiaddr, expect identity.ID, done func(Conduit, error))
	// Listen binds a and delivers connections to sink until Close.
	Listen(a ma.Multiaddr, sink AcceptSink) (Listener, error)
}

// Node is what a transport may have to know of the node that it works for.
type Node struct {
	// Key is the node's identity. Raw conduits are secured by the node; a transport of Muxed ones
	// proves the identity itself.
	Key identity.PrivateKey
	// Warn takes what the node's operator should know, with pairs of keys and values. Default:
	// nobody is told.
	Warn func(what string, pairs ...any)
	// Shared is where transports of this node meet. Default: each is on its own.
	Shared *Shared
	// Private says that the node is in a private network: nobody can tell by the first bytes of a Raw
	// conduit what is spoken on it.
	Private bool
}

// Member is a Transport that has to know its node. The node calls Join once, before anything else;
// an error ends the node's start.
type Member interface {
	Transport
	Join(n Node) error
}

// RawOnly is a Transport that says whether all its conduits are Raw. What lies below the security
// handshake, as the pre-shared key of a private network does, holds for those alone: a node in a
// private network refuses a transport that does not say so.
type RawOnly interface {
	RawOnly() bool
}

// AcceptSink takes what a listener accepts. Methods must not block.
type AcceptSink interface {
	// Accepted hands over a connection; whoever does not want it closes it.
	Accepted(c Conduit)
	// Failed says that the listener stopped accepting and is closed. Not called after Close.
	Failed(err error)
	// Degraded says that not all who come are accepted, or soon will not be, and why: there are no
	// descriptors, a certificate was not renewed.
	Degraded(err error)
}

// MovingSink is an AcceptSink that wants to know when a listener's address changes while it is bound:
// that of WebTransport names certificates, which are replaced every other week.
type MovingSink interface {
	AcceptSink
	// Moved says what Listener.Addr is from now on.
	Moved(a ma.Multiaddr)
}

// Listener is a bound address.
type Listener interface {
	// Addr is the address as bound, with the real port.
	Addr() ma.Multiaddr
	// Close stops accepting and frees the address before it returns. Idempotent.
	Close() error
}

// Opener is the reading half of a secure channel: ciphertext in, plaintext out, in place.
type Opener interface {
	// Feed lends p to the opener until it has been used up by Next. p may be overwritten.
	Feed(p []byte)
	// Next returns the next piece of plaintext, borrowed until the following call; false
	// when more ciphertext is needed (a partial frame has been copied aside by then, and p
	// is free again).
	Next() ([]byte, bool, error)
}

// Sealer is the writing half of a secure channel.
type Sealer interface {
	// Seal appends p, sealed as one or more records, to dst.
	Seal(dst, p []byte) ([]byte, error)
	// SealedSize is the number of bytes that Seal appends for n bytes of plaintext.
	SealedSize(n int) int
}

// Secured is a Raw conduit after its upgrade: who is there, and how to talk.
type Secured struct {
	Raw       Raw
	Peer      identity.ID
	PublicKey identity.PublicKey
	Security  string // protocol ID: "/noise", "/tls/1.0.0"
	Muxer     string // protocol ID: "/yamux/1.0.0"
	Early     bool   // the muxer was agreed inside the security handshake
	Open      Opener
	Seal      Sealer
	Rest      []byte // plaintext that was read past the upgrade, owned by the receiver
}

// Package limits counts what peers hold of the node and refuses what is too much.
//
//	Conn   peer -> token    Conns, ConnsPerPeer
//	Dial   peer -> token    HalfOpenOut
//	Stream token of a connection -> token    Streams, StreamsPerConn
//	Hold   token of either, n bytes          BufferBytes
//	Release token           gives back the token and everything under it
//
// Two rules keep the counts right. Whoever starts something reserves it first, so that a refusal
// costs no more than a few comparisons; and whoever supervises it releases it when it has ended, so
// that no handler can keep a quota by not returning. A token that is released twice, or after the
// connection it belonged to, is known as stale and changes nothing.
//
// When Conns is used up a newcomer may still get in, by the end of the connection that is of the least
// use: see Use, Chooser and Tags.
//
// An eighth of Conns and of Streams is out of reach for remotes: a node that is full of inbound
// connections can still dial.
package limits

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/bound"
)

// Limits of a node. A zero field means its default, which suits a node with 1 GiB of memory; a
// negative one means none at all.
type Limits struct {
	// Conns is the number of established connections. A newcomer takes the place of the one that
	// is of the least use, if there is one of less use than he; see Use. Default 4096: about
	// 100 MB when idle.
	Conns int
	// ConnsPerPeer is the number of connections with one peer. Default 8.
	ConnsPerPeer int
	// ConnsPerPrefix is the number of inbound connections, half-open ones with them, from one
	// address prefix: an IPv4 address, or a /56 of IPv6. Default 64: a household, or a small
	// office behind one address.
	ConnsPerPrefix int
	// NewConnsPerPrefix is the number of new inbound connections in a second from one prefix.
	// Default 32.
	NewConnsPerPrefix int
	// Exempt are the prefixes that the two limits before do not count. Default (nil):
	// 127.0.0.0/8 and ::1. An empty slice that is not nil exempts nobody.
	Exempt []netip.Prefix
	// HalfOpen is the number of inbound connections in their handshake; see package
	// negotiation/admission for what happens beyond. Default 512: about 5 MB.
	HalfOpen int
	// HalfOpenOut is the number of dials under way. Default 160: dials of one program that
	// share a NAT with others should not fill its table.
	HalfOpenOut int
	// StreamsPerConn is the number of streams on one connection that the remote opened, and
	// likewise that we opened. Default 2048.
	StreamsPerConn int
	// Streams is the number of streams on all connections. Default 32768: about 80 MB when
	// idle.
	Streams int
	// BufferBytes is what all connections may hold together of received bytes that nobody has
	// read, and of receive windows that have grown beyond the protocol's 256 KiB. 256 KiB unread
	// on each connection are free. When it is out, windows get narrower, and then the stream is
	// reset, with ErrLimit, that has stood unread longest on the connection that holds most.
	// Streams of transports that have streams of their own are not counted. Default 256 MiB;
	// with none at all a connection has what is free.
	BufferBytes int
}

// The defaults of Limits.
const (
	DefaultConns             = 4096
	DefaultConnsPerPeer      = 8
	DefaultConnsPerPrefix    = 64
	DefaultNewConnsPerPrefix = 32
	DefaultHalfOpen          = 512
	DefaultHalfOpenOut       = 160
	DefaultStreamsPerConn    = 2048
	DefaultStreams           = 32768
	DefaultBufferBytes       = 256 << 20
)

// WithDefaults returns the limits as they will be enforced: no field is negative, and zero means
// none.
func (l Limits) WithDefaults() Limits {
	for _, f := range []struct {
		n   *int
		def int
	}{
		{&l.Conns, DefaultConns},
		{&l.ConnsPerPeer, DefaultConnsPerPeer},
		{&l.ConnsPerPrefix, DefaultConnsPerPrefix},
		{&l.NewConnsPerPrefix, DefaultNewConnsPerPrefix},
		{&l.HalfOpen, DefaultHalfOpen},
		{&l.HalfOpenOut, DefaultHalfOpenOut},
		{&l.StreamsPerConn, DefaultStreamsPerConn},
		{&l.Streams, DefaultStreams},
		{&l.BufferBytes, DefaultBufferBytes},
	} {
		switch {
		case *f.n == 0:
			*f.n = f.def
		case *f.n < 0:
			*f.n = 0
		}
	}
	if l.Exempt == nil {
		l.Exempt = []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{127}), 8), netip.PrefixFrom(netip.IPv6Loopback(), 128)}
	}
	return l
}

// forRemotes is the part of a limit that remotes may use up.
func forRemotes(limit int) int { return limit - limit/8 }

// Refusal is an error that says which limit was met and who holds most of it.
type Refusal struct {
	// Limit is the field of Limits: "Streams".
	Limit string
	// Unit is what is counted, in words: "inbound streams".
	Unit string
	// Cap is the limit that was met, Used what is in use of it, Wanted what was asked for.
	Cap, Used, Wanted int
	// Holder holds more than anybody else, HolderUsed is how much; "" if nobody holds any.
	Holder     identity.ID
	HolderUsed int
}

// Error reads like "limit: 512 of 512 streams in use, peer 12D3... holds 498 (Limits.Streams)".
func (r Refusal) Error() string {
	var b strings.Builder
	if r.Holder != "" && r.HolderUsed == r.Used {
		fmt.Fprintf(&b, "limit: peer %s holds %d of %d %s", r.Holder, r.HolderUsed, r.Cap, r.Unit)
	} else {
		fmt.Fprintf(&b, "limit: %d of %d %s in use", r.Used, r.Cap, r.Unit)
		if r.Holder != "" {
			fmt.Fprintf(&b, ", peer %s holds %d", r.Holder, r.HolderUsed)
		}
	}
	if r.Wanted > 1 {
		fmt.Fprintf(&b, ", %d more wanted", r.Wanted)
	}
	fmt.Fprintf(&b, " (Limits.%s)", r.Limit)
	return b.String()
}

// Bounds lists what a remote can fill, for the default limits.
func Bounds() []bound.Bound {
	return []bound.Bound{
		{Name: "peers/limits: connections of remotes", Cap: forRemotes(DefaultConns), Attack: "connections from endless identities"},
		{Name: "peers/limits: connections of one peer", Cap: DefaultConnsPerPeer, Attack: "endless connections of one identity"},
		{Name: "peers/limits: streams of one connection opened by the remote", Cap: DefaultStreamsPerConn, Attack: "a flood of SYN frames"},
		{Name: "peers/limits: streams of remotes", Cap: forRemotes(DefaultStreams), Attack: "a flood of SYN frames on many connections"},
		{Name: "peers/limits: peers with tags", Cap: MaxTagged, Attack: "a protocol that tags peers which remotes have invented"},
		{Name: "peers/limits: tags of one peer", Cap: MaxTags, Attack: "a protocol that makes a tag of what it is told"},
		{Name: "peers/limits: bytes in buffers", Cap: DefaultBufferBytes, Attack: "data for many streams that nobody reads"},
	}
}

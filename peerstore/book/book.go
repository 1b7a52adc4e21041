// Package book remembers where peers are and what they say about themselves.
//
//	told by others       -> Learn        addresses with a lifetime
//	given by the user    -> Pin          addresses that stay
//	connection up        -> Connected    what the peer says now lives as long as the connection
//	identify             -> Identified   addresses, record, protocols, versions
//	signed peer record   -> Certify      only a newer one of the peer itself, which replaces the older
//	connection down      -> Disconnected 15 minutes from now
//	time                 -> HandleTimeout
//	a dial is wanted     -> Addrs        what the peer certified first, hearsay last
//
// Everything in here is hearsay until a handshake has proved it, and everything is bounded: the
// peers, the addresses of one, all addresses, and all bytes. Past a bound somebody pays, and the
// order says who: the peer that holds most if it holds much more than an honest one would, else
// the peer that has not been useful for longest. Peers that were only heard of and peers that we
// have talked to have separate orders, so that gossip about invented peers cannot wash out real ones.
// Who is connected or pinned never goes.
//
// The Book is the state. It belongs to the node, not to the actor that works on it; after a
// crash of the actor Repair makes it whole again.
package book

import (
	"errors"
	"time"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/bound"
	"github.com/troupe-p2p/troupe/internal/tally"

	ma "github.com/multiformats/go-multiaddr"
)

// Lifetimes of addresses, as in go-libp2p.
const (
	// TempTTL is for addresses that are about to be dialled.
	TempTTL = 2 * time.Minute
	// RecentTTL is for peers that were connected.
	RecentTTL = 15 * time.Minute
	// AddrTTL is for addresses from discovery.
	AddrTTL = time.Hour
	// MaxTTL is the longest that hearsay lives.
	MaxTTL = 48 * time.Hour
)

const (
	// DefaultPeers, DefaultAddrs and DefaultBytes bound the whole book; see Config.
	DefaultPeers = 10_000
	DefaultAddrs = 100_000
	DefaultBytes = 64 << 20

	// MaxAddrs bounds the addresses of a peer that is not connected, and hearsay about any.
	// It stops endless gossip about one peer (go-libp2p issue 3486).
	MaxAddrs = 64
	// MaxOwnAddrs bounds what a connected peer says about itself.
	MaxOwnAddrs = identity.MaxRecordAddrs
	// MaxProtocols and maxText bound what a connected peer says it speaks, and each name
	// and version.
	MaxProtocols = 1024
	maxText      = 256

	// fat is what a peer may hold in bytes before it pays first. An honest one holds 2 to 6 KiB.
	fat = 16 << 10
)

var (
	// ErrFull means that the book is full of connected and pinned peers.
	ErrFull = errors.New("limit: the peerstore is full of peers that are in use")
	// ErrOldRecord is a record that is not newer than the one that is known.
	ErrOldRecord = errors.New("remote: peer record is older than the known one")
	// ErrForeignRecord is a record of one peer presented as another's.
	ErrForeignRecord = errors.New("remote: peer record is about another peer")
)

// Config of a Book; the zero value is the default.
type Config struct {
	// Peers is the number of peers remembered. Default 10,000.
	Peers int
	// Addrs is the number of addresses of all peers. Default 100,000.
	Addrs int
	// Bytes is what all peers may cost in memory, estimated. Default 64 MiB; at least 1 KiB
	// for each of Peers.
	Bytes int
}

func (c Config) withDefaults() Config {
	for _, f := range []struct {
		n   *int
		def int
	}{{&c.Peers, DefaultPeers}, {&c.Addrs, DefaultAddrs}, {&c.Bytes, DefaultBytes}} {
		if *f.n <= 0 {
			*f.n = f.def
		}
	}
	c.Bytes = max(c.Bytes, c.Peers*2*peerCost)
	return c
}

// Source says how an address became known, the least trustworthy first.
type Source uint8

const (
	// Told addresses come from somebody else than the peer.
	Told Source = iota
	// Said addresses come from the peer, over a connection with it.
	Said
	// Certified addresses are in a record that the peer has signed.
	Certified
	// Pinned addresses come from the user.
	Pinned
)

// Address is a known address of a peer.
type Address struct {
	Addr   ma.Multiaddr
	Source Source
	// Expires is zero for an address that lives as long as the connection or the pin.
	Expires time.Time
}

// Book is the state. One actor works on it at a time.
type Book struct {
	cfg   Config
	peers map[identity.ID]*peer
	known order // only heard of, least recently useful first
	met   order // have been connected
	due   wakes
	costs tally.Tally[identity.ID]
	addrs int
	bytes int
	used  uint64 // the last value of peer.used
	swept time.Time
	stats Stats
	// lastNames are the protocols that the latest peer said, not to be changed.
	lastNames []string
}

// Stats is for people.
type Stats struct {
	Peers, Addrs, Bytes int
	// Evicted peers were forgotten for lack of room, Trimmed ones lost a part.
	Evicted, Trimmed uint64
	// Refused counts addresses and records that were not taken.
	Refused uint64
}

// New returns an empty Book.
func New(cfg Config) *Book {
	return &Book{cfg: cfg.withDefaults(), peers: make(map[identity.ID]*peer)}
}

// Stats returns the state in numbers.
func (b *Book) Stats() Stats {
	s := b.stats
	s.Peers, s.Addrs, s.Bytes = len(b.peers), b.addrs, b.bytes
	return s
}

// Bounds lists what a remote can fill, for the default configuration.
func Bounds() []bound.Bound {
	return []bound.Bound{
		{Name: "peerstore/book: peers", Cap: DefaultPeers, Attack: "gossip about invented peers"},
		{Name: "peerstore/book: addresses of all peers", Cap: DefaultAddrs, Attack: "gossip about invented addresses"},
		{Name: "peerstore/book: bytes of all peers", Cap: DefaultBytes, Attack: "many identities with long lists of protocols"},
		{Name: "peerstore/book: addresses of one peer told by others", Cap: MaxAddrs, Attack: "endless gossip about one peer"},
		{Name: "peerstore/book: addresses of a connected peer", Cap: MaxOwnAddrs, Attack: "a list of thousands of addresses"},
		{Name: "peerstore/book: protocols of one peer", Cap: MaxProtocols, Attack: "invented protocol names"},
		{Name: "peerstore/book: bytes of a protocol name or version", Cap: maxText, Attack: "few, huge names"},
		{Name: "peerstore/book: bytes of a sealed record", Cap: identity.MaxEnvelope, Attack: "records that fill the peerstore"},
	}
}

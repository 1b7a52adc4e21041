package simnet

import (
	"encoding/binary"
	"math/bits"
	"time"
)

// Delivery is something that has reached a host: a socket, a listener or a packet conn of it.
type Delivery struct {
	At       time.Time
	Kind     Kind
	From, To string // hosts
	Stream   uint64 // 0 for datagrams
	Offset   int64  // of the first byte in what its side of the stream sends
	Len      int
	Hash     uint64 // of the bytes
}

// Observe adds an observer of all deliveries. It is called in their turn, before the receiver
// hears of them.
func (n *Network) Observe(f func(Delivery)) { n.observers = append(n.observers, f) }

func (n *Network) observe(kind Kind, from, to *Host, stream uint64, offset int64, p []byte) {
	if len(n.observers) == 0 {
		return
	}
	d := Delivery{
		At: n.now(), Kind: kind, From: from.name, To: to.name,
		Stream: stream, Offset: offset, Len: len(p), Hash: Hash(p),
	}
	for _, f := range n.observers {
		f(d)
	}
}

// Two odd constants without structure: digits of the roots of 2 and 3.
const (
	hashA = 0x6a09e667f3bcc909
	hashB = 0xbb67ae8584caa73b
)

// Hash is 64 bits of p: a fold of 128-bit products, eight bytes at a time. It is the same
// everywhere and stops no attacker.
func Hash(p []byte) uint64 {
	h := fold(uint64(len(p))^hashA, hashB)
	for ; len(p) >= 8; p = p[8:] {
		h = fold(h^binary.LittleEndian.Uint64(p), hashB)
	}
	var tail [8]byte
	copy(tail[:], p)
	h = fold(h^binary.LittleEndian.Uint64(tail[:]), hashB)
	return fold(h^hashB, hashA)
}

func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

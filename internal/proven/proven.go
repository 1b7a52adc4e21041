// Package proven remembers good signatures. Peers come back: what they sign of their handshake key,
// and of their addresses, is mostly the same bytes as the last time, and a hash costs a hundredth of
// a verification.
package proven

import (
	"crypto/sha256"
	"encoding/binary"
	"sync/atomic"
)

// Slots is how many signatures a Table remembers.
const Slots = 512

// Proof names a key, a signature of it, and what is signed.
type Proof [sha256.Size]byte

// Of makes a proof. Those that share a table have keys of one length, and signatures.
func Of(key, sig, data []byte) (p Proof) {
	h := sha256.New()
	h.Write(key)
	h.Write(sig)
	h.Write(data)
	h.Sum(p[:0])
	return p
}

// Table holds the proofs that were added last; a newer one takes the place of an older. Its size is
// fixed: whatever remotes send, it holds 20 KiB. The zero Table is empty, and fit for any number of
// goroutines.
type Table struct {
	slots [Slots]atomic.Pointer[Proof]
}

func (t *Table) slot(p *Proof) *atomic.Pointer[Proof] {
	return &t.slots[binary.LittleEndian.Uint32(p[:])%Slots]
}

// Has says that p was added, and not so long ago.
func (t *Table) Has(p Proof) bool {
	is := t.slot(&p).Load()
	return is != nil && *is == p
}

// Add remembers p. Only what was verified may be added.
func (t *Table) Add(p Proof) { t.slot(&p).Store(&p) }

// Package buf pools the byte buffers that travel from a socket to a handler and back.
//
// A Buf has one owner at a time. Passing it on passes the ownership; the last owner calls
// Release. Retain adds an owner for the case that one read feeds several streams.
//
//	b := buf.Get(64 << 10) // len(b.B) == 64 KiB, contents undefined
//	n := read(b.B)
//	b.B = b.B[:n]
//	...
//	b.Release()
package buf

import (
	"sync"
	"sync/atomic"
)

// classes are the pooled capacities. The last one holds a whole Noise frame (2 + 65535 bytes)
// behind a carried-over part of another.
var classes = [...]int{512, 4 << 10, 16 << 10, 64<<10 + 1<<10, 128<<10 + 2<<10}

var pools [len(classes)]sync.Pool

// Poison makes Release overwrite the bytes, so that a reader of a released buffer is seen.
// Tests switch it on before any buffer is used.
var Poison atomic.Bool

// live counts the buffers that are out, for leak checks.
var live atomic.Int64

// Live reports how many buffers are held at the moment.
func Live() int64 { return live.Load() }

// Buf is a pooled buffer. B may be re-sliced by the owner; the storage is kept apart.
type Buf struct {
	B     []byte
	store []byte
	refs  atomic.Int32
	class int8 // -1: larger than every class, not pooled
}

// Get returns a buffer with len(B) == n and undefined contents.
func Get(n int) *Buf {
	live.Add(1)
	for i, size := range classes {
		if n > size {
			continue
		}
		b, _ := pools[i].Get().(*Buf)
		if b == nil {
			b = &Buf{store: make([]byte, size), class: int8(i)}
		}
		b.B = b.store[:n]
		b.refs.Store(1)
		return b
	}
	b := &Buf{store: make([]byte, n), class: -1}
	b.B = b.store
	b.refs.Store(1)
	return b
}

// Copy returns a buffer that holds a copy of p.
func Copy(p []byte) *Buf {
	b := Get(len(p))
	copy(b.B, p)
	return b
}

// Cap is the size of the storage behind B: what keeping the buffer costs.
func (b *Buf) Cap() int { return len(b.store) }

// Retain adds an owner, who releases on its own.
func (b *Buf) Retain() { b.refs.Add(1) }

// Release gives up one ownership. The last one returns the storage to the pool.
func (b *Buf) Release() {
	n := b.refs.Add(-1)
	if n > 0 {
		return
	}
	if n < 0 {
		panic("buf: released more often than owned")
	}
	live.Add(-1)
	if Poison.Load() {
		for i := range b.store {
			b.store[i] = 0xDB
		}
	}
	b.B = nil
	if b.class >= 0 {
		pools[b.class].Put(b)
	}
}

// Bytes is what the buffer holds.
func (b *Buf) Bytes() []byte { return b.B }

// Append adds as much of p as fits into the storage and returns how much that was.
func (b *Buf) Append(p []byte) int {
	n := min(len(p), len(b.store)-len(b.B))
	b.B = append(b.B, p[:n]...)
	return n
}

// Discard releases a buffer that was sent to an actor that is gone.
func (b *Buf) Discard(error) { b.Release() }

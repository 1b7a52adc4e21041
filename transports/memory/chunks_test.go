package memory

import (
	"bytes"
	"testing"

	"github.com/troupe-p2p/troupe/internal/buf"
)

func TestChunksKeepOrderAndBounds(t *testing.T) {
	before := buf.Live()
	var c chunks
	if n := c.push([]byte("hello"), 3, 100); n != 3 || c.n != 3 {
		t.Errorf("pushed %d, holds %d", n, c.n)
	}
	if n := c.push([]byte("x"), -5, 100); n != 0 {
		t.Errorf("pushed %d without room", n)
	}
	b := c.pop()
	if string(b.B) != "hel" || c.n != 0 {
		t.Errorf("popped %q, holds %d", b.B, c.n)
	}
	b.Release()
	c.push(make([]byte, 1000), 1000, 300)
	for c.n > 0 {
		b := c.pop()
		if len(b.B) > 300 {
			t.Errorf("a chunk of %d bytes", len(b.B))
		}
		b.Release()
	}
	c.push([]byte("left"), 10, 100)
	c.drop()
	if buf.Live() != before {
		t.Error("a buffer was not released")
	}
}

func TestSmallWritesShareBuffers(t *testing.T) {
	var c chunks
	defer func() { c.drop() }()
	for range 10000 {
		c.push([]byte("0123456789"), 1<<20, 64<<10)
	}
	held := 0
	for _, b := range c.q[c.head:] {
		held += b.Cap()
	}
	if held > 2*c.n {
		t.Errorf("%d bytes of buffers for %d", held, c.n)
	}
}

// FuzzChunks compares the queue with a slice.
func FuzzChunks(f *testing.F) {
	f.Add([]byte{1, 2, 3, 0, 0, 200, 0, 255, 255, 0, 0, 0})
	f.Fuzz(func(t *testing.T, ops []byte) {
		before := buf.Live()
		var c chunks
		var want []byte
		for i, op := range ops {
			if op == 0 {
				if c.n == 0 {
					continue
				}
				b := c.pop()
				if len(b.B) == 0 || !bytes.HasPrefix(want, b.B) {
					t.Fatalf("op %d: popped %d bytes that are not the oldest", i, len(b.B))
				}
				want = want[len(b.B):]
				b.Release()
				continue
			}
			p := bytes.Repeat([]byte{byte(i)}, int(op)*int(op))
			n := c.push(p, 4096-c.n, 1000)
			want = append(want, p[:n]...)
			if c.n != len(want) || c.n > 4096 {
				t.Fatalf("op %d: holds %d bytes, want %d", i, c.n, len(want))
			}
		}
		c.drop()
		if buf.Live() != before {
			t.Fatal("a buffer was not released")
		}
	})
}

package tcp

import (
	"bytes"
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"

	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/testkit/transporttest"
	"github.com/troupe-p2p/troupe/transports/internal/sockets"
)

// heard is a sink that remembers on which goroutines it was called, and lets all be read.
type heard struct {
	transporttest.Sink
	c  *sockets.Conn
	mu sync.Mutex
	on []string
	n  int
}

func listen(c *sockets.Conn) *heard {
	h := &heard{c: c}
	h.OnOffer = func(b *buf.Buf) {
		var id [24]byte
		on, _, _ := bytes.Cut(id[:runtime.Stack(id[:], false)], []byte(" ["))
		h.mu.Lock()
		h.on = append(h.on, string(on))
		h.n += len(b.B)
		h.mu.Unlock()
		b.Release()
		c.More()
	}
	c.Bind(h, 1<<20)
	return h
}

func (h *heard) wait(t *testing.T, n int) {
	t.Helper()
	transporttest.Settle(t, "bytes are missing", 0, func() int {
		h.mu.Lock()
		defer h.mu.Unlock()
		return n - h.n
	})
}

// rest lets half a second pass twice.
func rest(t *testing.T, c *sockets.Conn) {
	t.Helper()
	for range 2 {
		c.Rests().Look()
	}
	if c.Rests().Awake() > 0 {
		t.Fatal("the reader is not told to rest")
	}
}

func TestAReaderThatBringsNothingRestsAndGoesOn(t *testing.T) {
	bothSocks(t, func(t *testing.T, cfg Config) {
		a, b := pair(t, cfg)
		h := listen(a)
		// A byte that comes at once may still be read by the one that is told to rest.
		for i, times := 0, 0; times < 3; i++ {
			if _, err := socket(b).Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			h.wait(t, 5*(i+1))
			rest(t, a)
			h.mu.Lock()
			if i > 0 && h.on[i] != h.on[i-1] {
				times++
			}
			h.mu.Unlock()
			if i == 10_000 {
				t.Fatalf("the reader rested %d times", times)
			}
		}
		_ = socket(b).CloseWrite()
		if err := h.WaitEnded(t, "the end of what rests"); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
		_ = a.Close()
		_ = b.Close()
	})
}

func TestAConnectionThatRestsCanBeClosed(t *testing.T) {
	bothSocks(t, func(t *testing.T, cfg Config) {
		for range 20 {
			a, b := pair(t, cfg)
			h := listen(a)
			if _, err := socket(b).Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			h.wait(t, 1)
			rest(t, a)
			_ = a.Close() // perhaps while it changes its goroutine
			if err := h.WaitEnded(t, "the end of what was closed"); !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
			_ = b.Close()
		}
	})
}

func TestABusyReaderLosesNothingByBeingToldToRest(t *testing.T) {
	bothSocks(t, func(t *testing.T, cfg Config) {
		a, b := pair(t, cfg)
		h := listen(a)
		const chunk, chunks = 1000, 500
		for i := range chunks {
			if _, err := socket(b).Write(make([]byte, chunk)); err != nil {
				t.Fatal(err)
			}
			if i%8 == 0 {
				for range 2 {
					a.Rests().Look()
				}
			}
		}
		h.wait(t, chunk*chunks)
		_ = b.Close()
		if err := h.WaitEnded(t, "the end"); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
		_ = a.Close()
	})
}

func TestRestsForgetsWhatIsOver(t *testing.T) {
	a, b := pair(t, Config{})
	h := listen(a)
	if _, err := socket(b).Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	h.wait(t, 1)
	_ = a.Close()
	_ = b.Close()
	a.Rests().Look()
	if n := a.Rests().Awake(); n != 0 {
		t.Errorf("%d connections are kept", n)
	}
}

package memory

import (
	"strconv"
	"sync"

	ma "github.com/multiformats/go-multiaddr"
)

// Hub is a space of addresses: the listeners that can be found in it.
type Hub struct {
	mu        sync.Mutex
	listeners map[uint64]*listener
	lastBound uint64 // given to a listener that asked for any
	lastDial  uint64 // given to a dialler
}

// firstDial keeps the addresses of diallers apart from those that people choose.
const firstDial = 1 << 32

// NewHub makes an empty one.
func NewHub() *Hub { return &Hub{listeners: map[uint64]*listener{}, lastDial: firstDial} }

// bind finds a place for l; n == 0 means any.
func (h *Hub) bind(l *listener, n uint64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n == 0 {
		for n = h.lastBound + 1; h.listeners[n] != nil; n++ {
		}
		h.lastBound = n
	}
	if h.listeners[n] != nil {
		return ErrInUse
	}
	l.n, l.addr = n, address(n)
	h.listeners[n] = l
	return nil
}

// unbind frees l's place and reports whether it had one.
func (h *Hub) unbind(l *listener) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.listeners[l.n] != l {
		return false
	}
	delete(h.listeners, l.n)
	return true
}

func (h *Hub) find(n uint64) *listener {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.listeners[n]
}

// diallers gives an address to the dialling end of a connection.
func (h *Hub) dialler() ma.Multiaddr {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lastDial++
	return address(h.lastDial)
}

func address(n uint64) ma.Multiaddr {
	c, err := ma.NewComponent("memory", strconv.FormatUint(n, 10))
	if err != nil {
		panic(err) // every uint64 is a memory address
	}
	return c.Multiaddr()
}

// number is N of /memory/N.
func number(a ma.Multiaddr) (uint64, bool) {
	if len(a) != 1 || a[0].Code() != ma.P_MEMORY {
		return 0, false
	}
	n, err := strconv.ParseUint(a[0].Value(), 10, 64)
	return n, err == nil
}

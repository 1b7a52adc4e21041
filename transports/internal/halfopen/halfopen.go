// Package halfopen counts the handshakes of remotes that nobody knows yet, for transports over UDP: there
// is no accept queue of the system's below them.
package halfopen

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
)

// Default is what a quiet node never reaches: a handshake takes milliseconds.
const Default = 256

// ErrBusy: the remote's network has as many handshakes under way as there is room for.
var ErrBusy = errors.New("too many handshakes are under way")

// Table counts the inbound handshakes under way on one socket. There is no handle on one that has not
// got far, so nobody can lose a place for a newcomer; instead a network may take as many places as are
// left free, and no more. One that takes all it gets has half of them, two have a third each.
// So it takes many networks to fill all places, and those that are near to each other count together, too.
//
// Addresses that are not proven count apart from those that are: whoever makes them up shuts out
// nobody who lives there and can prove it. From half of the places on everybody has to.
type Table struct {
	max int

	mu   sync.Mutex
	n    int
	held map[newcomer]int
}

// New makes a table of so many places.
func New(places int) *Table { return &Table{max: places, held: map[newcomer]int{}} }

// newcomer is who counts together.
type newcomer struct {
	network netip.Prefix
	proven  bool
}

// The networks that an address is in: what a host has, what is easily had, what a provider has.
var bits4, bits6 = []int{32, 24}, []int{56, 48, 32}

func newcomersOf(from net.Addr, proven bool) []newcomer {
	udp, ok := from.(*net.UDPAddr)
	if !ok {
		return []newcomer{{proven: proven}}
	}
	ip, bits := udp.AddrPort().Addr().Unmap().WithZone(""), bits6
	if ip.Is4() {
		bits = bits4
	}
	all := make([]newcomer, len(bits))
	for i, b := range bits {
		network, _ := ip.Prefix(b)
		all[i] = newcomer{network, proven}
	}
	return all
}

// WantsProof says whether a newcomer has to prove its address first.
func (t *Table) WantsProof(from net.Addr) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.n >= t.max/2 || t.full(newcomersOf(from, false))
}

// full is called with mu held.
func (t *Table) full(all []newcomer) bool {
	return slices.ContainsFunc(all, func(s newcomer) bool { return t.held[s] >= t.max-t.n })
}

// Enter takes a place, which leave gives back. It fails with ErrBusy.
func (t *Table) Enter(from net.Addr, proven bool) (leave func(), err error) {
	all := newcomersOf(from, proven)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.full(all) {
		return nil, ErrBusy
	}
	t.n++
	for _, s := range all {
		t.held[s]++
	}
	return sync.OnceFunc(func() { t.leave(all) }), nil
}

func (t *Table) leave(all []newcomer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n--
	for _, s := range all {
		if t.held[s]--; t.held[s] == 0 {
			delete(t.held, s)
		}
	}
}

// Len is how many handshakes are under way.
func (t *Table) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.n
}

// Networks is how many sources they come from.
func (t *Table) Networks() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.held)
}

package negotiation

import (
	"net/netip"
	"sync"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/addrs"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/negotiation/admission"
	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

// Door is where inbound connections are counted by their address prefix: by the listeners, before
// the gate has any work with them, until whoever holds them at last lets go of
// them. It belongs to the node, has a lock, and outlives every actor that uses it.
type Door struct {
	now  func() time.Time
	gate actors.Ref[messages.Gate]

	mu     sync.Mutex
	books  *admission.Prefixes
	turned []turned // since the gate has asked; len <= maxTold
	more   uint64   // beyond those
	told   bool     // the gate knows that there is something
}

// turned is a connection that was turned away.
type turned struct {
	addr ma.Multiaddr
	err  error
}

// NewDoor makes the door of a node. gate is told when somebody was turned away.
func NewDoor(cfg admission.PrefixConfig, now func() time.Time, gate actors.Ref[messages.Gate]) *Door {
	return &Door{now: now, gate: gate, books: admission.NewPrefixes(cfg)}
}

// Admit books a connection; false: it is one too many, and is to be closed.
func (d *Door) Admit(e conduit.Endpoints) (messages.Lease, bool) {
	ip, ok := addrs.IP(e.Remote)
	if !ok {
		return nil, true // not from the network: memory, or a relay's stream
	}
	d.mu.Lock()
	prefix, err := d.books.Enter(d.now(), ip)
	wake := false
	if err != nil {
		wake = !d.told
		d.told = true
		if len(d.turned) < maxTold {
			d.turned = append(d.turned, turned{e.Remote, err})
		} else {
			d.more++
		}
	}
	d.mu.Unlock()
	switch {
	case wake:
		if d.gate.Control(&messages.Turned{}) != nil {
			d.mu.Lock()
			d.told = false // the next one is told again
			d.mu.Unlock()
		}
		return nil, false
	case err != nil:
		return nil, false
	case !prefix.IsValid():
		return nil, true
	}
	return &lease{door: d, prefix: prefix}, true
}

// take hands out who was turned away since the last time.
func (d *Door) take() (some []turned, more uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	some, more = d.turned, d.more
	d.turned, d.more, d.told = nil, 0, false
	return some, more
}

// lease is one connection's entry.
type lease struct {
	door   *Door
	prefix netip.Prefix
	over   bool // mu of the door
}

// Release implements messages.Lease.
func (l *lease) Release() {
	l.door.mu.Lock()
	defer l.door.mu.Unlock()
	if !l.over {
		l.over = true
		l.door.books.Leave(l.prefix)
	}
}

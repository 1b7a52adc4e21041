package book

import "github.com/troupe-p2p/troupe/identity"

// order is a list of peers that may be forgotten, least recently useful first.
type order struct {
	head, tail *peer
	n          int
}

func (o *order) push(p *peer) {
	p.in, p.prev, p.next = o, o.tail, nil
	if o.tail != nil {
		o.tail.next = p
	} else {
		o.head = p
	}
	o.tail = p
	o.n++
}

func (p *peer) leave() {
	o := p.in
	if o == nil {
		return
	}
	if p.prev != nil {
		p.prev.next = p.next
	} else {
		o.head = p.next
	}
	if p.next != nil {
		p.next.prev = p.prev
	} else {
		o.tail = p.prev
	}
	p.in, p.prev, p.next = nil, nil, nil
	o.n--
}

// get returns the entry of a peer, a new one if need be; nil if there is no room. met says whether
// a new one is a peer that we have talked to.
func (b *Book) get(id identity.ID, met bool) *peer {
	if p := b.peers[id]; p != nil {
		return p
	}
	if len(b.peers) >= b.cfg.Peers {
		heard := 1
		if met {
			heard = 0
		}
		v := b.victim(nil, heard)
		if v == nil {
			return nil
		}
		b.evict(v)
	}
	b.used++
	p := &peer{id: id, used: b.used}
	b.peers[id] = p
	return p
}

// touch makes a peer the most recently useful one.
func (b *Book) touch(p *peer) {
	b.used++
	p.used = b.used
	p.leave()
	b.place(p)
}

// place puts a peer into the order it belongs to.
func (b *Book) place(p *peer) {
	o := &b.known
	switch {
	case p.connected || p.pinned:
		o = nil
	case p.met:
		o = &b.met
	}
	if o == p.in {
		return
	}
	p.leave()
	if o != nil {
		o.push(p)
	}
}

// victim is the peer to forget; coming is how many that are only heard of will be added. Those go
// first, but keep a quarter of the book, so that neither gossip nor a crowd of fresh identities
// can wash out the other kind.
func (b *Book) victim(spare *peer, coming int) *peer {
	first := func(o *order) *peer {
		if o.head == spare && spare != nil {
			return spare.next
		}
		return o.head
	}
	if b.known.n+coming > b.cfg.Peers/4 {
		if v := first(&b.known); v != nil {
			return v
		}
	}
	if v := first(&b.met); v != nil {
		return v
	}
	return first(&b.known)
}

func (b *Book) evict(p *peer) {
	b.stats.Evicted++
	b.remove(p)
}

func (b *Book) remove(p *peer) {
	b.account(p, 0, 0)
	p.addrs, p.cost = nil, 0
	p.leave()
	b.due.remove(p)
	delete(b.peers, p.id)
}

// settle is called after every change of a peer: it brings the totals, the order and the wake-up
// up to date and makes room.
func (b *Book) settle(p *peer) {
	b.update(p)
	for b.bytes > b.cfg.Bytes {
		if top := b.fattest(); top.cost <= fat || !b.trim(top, fat) {
			break
		}
	}
	for b.over() {
		v := b.victim(p, 0)
		if v == nil {
			break
		}
		b.evict(v)
	}
	// Everybody else is in use: the newcomer pays, and if that is not enough who holds most.
	for b.addrs > b.cfg.Addrs && p.dropWorst() {
		b.update(p)
	}
	if more := b.bytes - b.cfg.Bytes; more > 0 {
		b.trim(p, p.cost-more)
	}
	for b.bytes > b.cfg.Bytes {
		if top := b.fattest(); !b.trim(top, top.cost/2) {
			break
		}
	}
	if len(p.addrs) == 0 && !p.connected && p.wake.IsZero() {
		b.remove(p) // nothing is known of it
	}
}

func (b *Book) fattest() *peer {
	id, _ := b.costs.Top()
	return b.peers[id]
}

// trim reports whether it made p smaller.
func (b *Book) trim(p *peer, most int) bool {
	before := p.cost
	p.trim(most)
	b.stats.Trimmed++
	b.update(p)
	return p.cost < before
}

func (b *Book) over() bool { return b.addrs > b.cfg.Addrs || b.bytes > b.cfg.Bytes }

func (b *Book) update(p *peer) {
	p.measure()
	b.account(p, len(p.addrs), p.cost)
	b.place(p)
	b.due.update(p)
}

// account replaces what p counts in the totals.
func (b *Book) account(p *peer, addrs, cost int) {
	b.addrs += addrs - p.countedAddrs
	b.bytes += cost - p.countedCost
	b.costs.Add(p.id, cost-p.countedCost)
	p.countedAddrs, p.countedCost = addrs, cost
}

package dialplan

import (
	"encoding/binary"
	"io"
	"time"

	"github.com/troupe-p2p/troupe/identity"

	ma "github.com/multiformats/go-multiaddr"
)

const (
	backoffBase = 5 * time.Second
	backoffMost = 5 * time.Minute
	// backoffForget is how long after its backoff an address is remembered as failing.
	backoffForget = 2 * backoffMost
	// MaxBackoff bounds the addresses that are remembered. It stops a stream of addresses
	// that fail; the oldest failures are forgotten, which costs one dial each.
	MaxBackoff = 4096
)

// Backoff remembers which address of which peer has failed. The zero value is ready; a nil *Backoff
// remembers nothing. It is owned by one actor.
type Backoff struct {
	peers      map[identity.ID]map[string]*failure
	head, tail *failure // by the last failure, oldest first
	n          int
}

type failure struct {
	peer       identity.ID
	raw        string
	fails      int
	until      time.Time
	last       error
	prev, next *failure
}

// Failed makes an address wait: 5 s after the first failure, twice as long after each further one,
// 5 min at most, and up to a fifth more or less so that peers that failed together are not all
// dialled again together.
func (b *Backoff) Failed(now time.Time, rand io.Reader, peer identity.ID, addr ma.Multiaddr, err error) {
	raw := string(addr.Bytes())
	f := b.peers[peer][raw]
	if f != nil && now.After(f.until.Add(backoffForget)) {
		b.remove(f)
		f = nil
	}
	if f == nil {
		b.expire(now)
		f = &failure{peer: peer, raw: raw}
		b.insert(f)
	} else {
		b.unlink(f)
		b.link(f)
	}
	f.fails++
	wait := backoffMost
	if shift := f.fails - 1; shift < 6 {
		wait = min(backoffBase<<shift, backoffMost)
	}
	f.until = now.Add(jitter(wait, rand))
	f.last = err
}

// Worked forgets all failures of a peer: it is reachable again.
func (b *Backoff) Worked(peer identity.ID) {
	for _, f := range b.peers[peer] { // order-free: all of them go
		b.unlink(f)
	}
	delete(b.peers, peer)
}

// Until is when an address of a peer may be dialled again; false if it may be now.
func (b *Backoff) Until(now time.Time, peer identity.ID, addr ma.Multiaddr) (time.Time, bool) {
	if f := b.find(now, peer, string(addr.Bytes())); f != nil {
		return f.until, true
	}
	return time.Time{}, false
}

// Len is the number of addresses remembered.
func (b *Backoff) Len() int { return b.n }

func (b *Backoff) check(now time.Time, peer identity.ID, raw string) error {
	if f := b.find(now, peer, raw); f != nil {
		return &BackoffError{Until: f.until, Fails: f.fails, Last: f.last}
	}
	return nil
}

func (b *Backoff) find(now time.Time, peer identity.ID, raw string) *failure {
	if b == nil {
		return nil
	}
	if f := b.peers[peer][raw]; f != nil && now.Before(f.until) {
		return f
	}
	return nil
}

// expire makes room for one more.
func (b *Backoff) expire(now time.Time) {
	for b.head != nil && (b.n >= MaxBackoff || now.After(b.head.until.Add(backoffForget))) {
		b.remove(b.head)
	}
}

func (b *Backoff) insert(f *failure) {
	if b.peers == nil {
		b.peers = make(map[identity.ID]map[string]*failure)
	}
	if b.peers[f.peer] == nil {
		b.peers[f.peer] = make(map[string]*failure)
	}
	b.peers[f.peer][f.raw] = f
	b.link(f)
}

func (b *Backoff) remove(f *failure) {
	b.unlink(f)
	delete(b.peers[f.peer], f.raw)
	if len(b.peers[f.peer]) == 0 {
		delete(b.peers, f.peer)
	}
}

func (b *Backoff) link(f *failure) {
	f.prev, f.next = b.tail, nil
	if b.tail != nil {
		b.tail.next = f
	} else {
		b.head = f
	}
	b.tail = f
	b.n++
}

func (b *Backoff) unlink(f *failure) {
	if f.prev != nil {
		f.prev.next = f.next
	} else {
		b.head = f.next
	}
	if f.next != nil {
		f.next.prev = f.prev
	} else {
		b.tail = f.prev
	}
	f.prev, f.next = nil, nil
	b.n--
}

// jitter returns d, a fifth more or less. Without randomness it is d.
func jitter(d time.Duration, rand io.Reader) time.Duration {
	var b [8]byte
	if rand == nil {
		return d
	}
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return d
	}
	spread := uint64(d) * 2 / 5
	return d - d/5 + time.Duration(binary.BigEndian.Uint64(b[:])%(spread+1))
}

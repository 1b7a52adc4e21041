package troupe_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/negotiation/admission"
	"github.com/troupe-p2p/troupe/peers/connset"
	"github.com/troupe-p2p/troupe/peers/dialplan"
	"github.com/troupe-p2p/troupe/peers/limits"
	"github.com/troupe-p2p/troupe/peers/story"
	"github.com/troupe-p2p/troupe/peerstore/book"
)

var boundedPeers = map[string]boundDriver{
	"negotiation/admission: half-open inbound connections": func(_ *testing.T, b troupe.Bound) (most int) {
		table := admission.New(admission.Config{})
		for i := range 100 * b.Cap {
			source := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)
			table.Admit(boundEpoch, uint64(i+1), source)
			table.Progress(uint64(i+1), admission.Stage(i%4))
			most = max(most, table.Len())
		}
		return most
	},
	"negotiation/admission: prefixes remembered for their rate alone": func(_ *testing.T, b troupe.Bound) (most int) {
		books := admission.NewPrefixes(admission.PrefixConfig{Conns: 4, Rate: 4})
		for i := range 100 * b.Cap {
			ip := netip.AddrFrom16([16]byte{0x20, 1, byte(i >> 16), byte(i >> 8), byte(i)})
			prefix, err := books.Enter(boundEpoch, ip)
			if err == nil {
				books.Leave(prefix)
			}
			most = max(most, books.Len())
		}
		return most
	},
	"peers/connset: connections of one peer": func(_ *testing.T, b troupe.Bound) (most int) {
		s := connset.New(connset.Config{Self: invented(1), Peer: invented(2)})
		for i := range 100 * b.Cap {
			if s.Add(boundEpoch, connset.Conn{ID: uint64(i + 1)}) == nil && i%3 == 0 {
				s.StreamOpened(uint64(i + 1))
			}
			most = max(most, s.Len())
		}
		return most
	},
	"peers/connset: opens that wait for one peer": func(_ *testing.T, b troupe.Bound) (most int) {
		s := connset.New(connset.Config{Self: invented(1), Peer: invented(2)})
		for i := range 100 * b.Cap {
			_, _, _ = s.Open(connset.Open{Req: uint64(i)})
			most = max(most, s.Waiting())
		}
		return most
	},
	"peers/dialplan: addresses of one dial": func(_ *testing.T, b troupe.Bound) int {
		plan, _ := dialplan.Rank(boundEpoch, dialplan.Input{Self: invented(1), Peer: invented(2), Addrs: inventedAddrs(0, 100*b.Cap)})
		return len(plan)
	},
	"peers/dialplan: attempts of one dial at the same time": func(_ *testing.T, b troupe.Bound) (most int) {
		plan, _ := dialplan.Rank(boundEpoch, dialplan.Input{Self: invented(1), Peer: invented(2), Addrs: inventedAddrs(0, 100*b.Cap)})
		d := dialplan.NewDial(dialplan.Config{Each: time.Hour}, boundEpoch, invented(2), plan, nil, false)
		for at := boundEpoch; at.Before(boundEpoch.Add(50 * time.Second)); at = at.Add(100 * time.Millisecond) {
			d.HandleTimeout(at)
			most = max(most, d.Running())
		}
		return most
	},
	"peers/dialplan: addresses in backoff": func(_ *testing.T, b troupe.Bound) (most int) {
		var f dialplan.Backoff
		for i := range 100 * b.Cap {
			f.Failed(boundEpoch, nil, invented(i/8), inventedAddr(i%8), dialplan.ErrTimeout)
			most = max(most, f.Len())
		}
		return most
	},
	"peers/story: peers remembered": func(_ *testing.T, b troupe.Bound) (most int) {
		var s story.Book
		for i := range 100 * b.Cap {
			s.Add(invented(i), story.Happening{})
			most = max(most, s.Len())
		}
		return most
	},
	"peers/story: happenings of one peer": func(_ *testing.T, b troupe.Bound) (most int) {
		var s story.Book
		for range 100 * b.Cap {
			s.Add(invented(1), story.Happening{})
			most = max(most, len(s.Of(invented(1))))
		}
		return most
	},
	"peers/limits: peers with tags": func(_ *testing.T, b troupe.Bound) (most int) {
		var tags limits.Tags
		for i := range 100 * b.Cap {
			_ = tags.Protect(invented(i), "x")
			most = max(most, tags.Len())
		}
		return most
	},
	"peers/limits: tags of one peer": func(_ *testing.T, b troupe.Bound) int {
		var tags limits.Tags
		for i := range 100 * b.Cap {
			_ = tags.Set(invented(1), strings.Repeat("x", i), 1)
		}
		_, most := tags.Of(invented(1))
		return most
	},
	"peers/limits: connections of remotes": func(_ *testing.T, b troupe.Bound) (most int) {
		a := limits.New(limits.Limits{})
		for i := range 100 * b.Cap {
			_, _ = a.Conn(invented(i), limits.Remote)
		}
		return a.Usage()[0].Used
	},
	"peers/limits: connections of one peer": func(_ *testing.T, b troupe.Bound) int {
		a := limits.New(limits.Limits{})
		for range 100 * b.Cap {
			_, _ = a.Conn(invented(1), limits.Remote)
		}
		conns, _, _ := a.Of(invented(1))
		return conns
	},
	"peers/limits: streams of one connection opened by the remote": func(t *testing.T, b troupe.Bound) int {
		a := limits.New(limits.Limits{})
		c, err := a.Conn(invented(1), limits.Remote)
		if err != nil {
			t.Fatal(err)
		}
		for range 100 * b.Cap {
			_, _ = a.Stream(c, limits.Remote)
		}
		_, streams, _ := a.Of(invented(1))
		return streams
	},
	"peers/limits: streams of remotes": func(t *testing.T, b troupe.Bound) (most int) {
		a := limits.New(limits.Limits{})
		var c limits.Token
		for i := range 100 * b.Cap {
			if i%limits.DefaultStreamsPerConn == 0 {
				var err error
				if c, err = a.Conn(invented(i), limits.Remote); err != nil {
					t.Fatal(err)
				}
			}
			_, _ = a.Stream(c, limits.Remote)
		}
		return a.Usage()[2].Used
	},
	"peers/limits: bytes in buffers": func(t *testing.T, b troupe.Bound) int {
		a := limits.New(limits.Limits{})
		for i := range 1000 {
			c, err := a.Conn(invented(i), limits.Remote)
			if err != nil {
				t.Fatal(err)
			}
			_ = a.Hold(c, b.Cap/10)
		}
		return a.Usage()[3].Used
	},
}

// filled is a book that was told more than it may hold, in steps, and what it held at most.
func filled(cfg book.Config, steps int, tell func(b *book.Book, step int), held func(book.Stats) int) (most int) {
	b := book.New(cfg)
	for i := range steps {
		tell(b, i)
		most = max(most, held(b.Stats()))
	}
	return most
}

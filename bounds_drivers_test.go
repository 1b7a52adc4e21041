package troupe_test

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/addrs"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/negotiation/multistream"
	"github.com/troupe-p2p/troupe/negotiation/noise"
	"github.com/troupe-p2p/troupe/negotiation/plaintext"
	"github.com/troupe-p2p/troupe/negotiation/tls"
	"github.com/troupe-p2p/troupe/negotiation/upgrade"
	"github.com/troupe-p2p/troupe/peerstore/book"
	"github.com/troupe-p2p/troupe/protocols/identify/message"
	"github.com/troupe-p2p/troupe/protocols/perf/perfcore"

	ma "github.com/multiformats/go-multiaddr"
)

// A driver feeds one container a hundred times its cap and returns the most that was in it.
type boundDriver func(t *testing.T, b troupe.Bound) (most int)

var boundEpoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// invented is peer number n of as many as one likes.
func invented(n int) identity.ID {
	var raw [34]byte
	raw[0], raw[1] = 0x12, 0x20 // a SHA-256 multihash
	binary.BigEndian.PutUint64(raw[2:], uint64(n))
	return identity.ID(raw[:])
}

// inventedAddr is address number n of as many as one likes.
func inventedAddr(n int) ma.Multiaddr {
	ip := netip.AddrFrom4([4]byte{1 + byte(n>>24)%100, byte(n >> 16), byte(n >> 8), byte(n)})
	return addrs.FromAddrPort("tcp", netip.AddrPortFrom(ip, 4001))
}

func inventedAddrs(from, n int) (out []ma.Multiaddr) {
	for i := range n {
		out = append(out, inventedAddr(from+i))
	}
	return out
}

// largest is the largest size up to a hundred times cap that is taken.
func largest(limit int, taken func(size int) bool) (most int) {
	for _, size := range []int{1, limit / 2, limit - 1, limit, limit + 1, limit + limit/8 + 1, 2 * limit, 10 * limit, 100 * limit} {
		if taken(size) {
			most = max(most, size)
		}
	}
	return most
}

// swallowed is how much of a flood is taken in before it is refused.
func swallowed(flood []byte, piece int, take func(p []byte) (consumed int, err error)) (most int) {
	for len(flood) > 0 {
		n, err := take(flood[:min(piece, len(flood))])
		most += n
		if err != nil || n == 0 {
			break
		}
		flood = flood[n:]
	}
	return most
}

func boundDrivers() map[string]boundDriver {
	all := map[string]boundDriver{}
	for _, part := range []map[string]boundDriver{
		boundedValues, boundedPeers, boundedBook, boundedHandshakes, boundedProtocols, boundedYamux, boundedNode,
	} {
		for name, d := range part {
			all[name] = d
		}
	}
	return all
}

var boundedValues = map[string]boundDriver{
	"addrs: bytes of an address": func(_ *testing.T, b troupe.Bound) int {
		return largest(b.Cap, func(n int) bool {
			// Two bytes of code and length, and 253 of name for each but the last.
			var raw []byte
			for n > 2 {
				k := min(n-2, 100)
				raw = append(append(raw, 53, byte(k)), strings.Repeat("x", k)...) // /dns/xxx
				n -= k + 2
			}
			a, err := addrs.Parse(raw)
			return err == nil && len(a) > 0
		})
	},
	"addrs: components of an address": func(_ *testing.T, b troupe.Bound) int {
		return largest(b.Cap, func(n int) bool {
			_, err := addrs.ParseString(strings.Repeat("/quic-v1", n))
			return err == nil
		})
	},
	"identity: bytes of a public key": func(_ *testing.T, b troupe.Bound) int {
		return largest(b.Cap, func(n int) bool {
			// A key that is told apart from one that is too long only by being nonsense.
			raw := binary.AppendUvarint([]byte{8, 1, 0x12}, uint64(n))
			_, err := identity.UnmarshalPublicKey(append(raw, make([]byte, n)...))
			return err == nil || !strings.Contains(err.Error(), "limit") && n <= b.Cap
		})
	},
	"identity: bits of an RSA key": func(t *testing.T, b troupe.Bound) int {
		return largest(b.Cap, func(bits int) bool {
			_, err := identity.UnmarshalPublicKey(rsaPublic(t, bits))
			return err == nil
		})
	},
}

// Those of all peers are fed at a smaller height, which is held in the same way.
var boundedBook = map[string]boundDriver{
	"peerstore/book: peers": func(_ *testing.T, b troupe.Bound) int {
		const small = 500
		return scaled(filled(book.Config{Peers: small}, 100*small, func(k *book.Book, i int) {
			k.Learn(boundEpoch, invented(i), inventedAddrs(i, 1), time.Hour)
		}, func(s book.Stats) int { return s.Peers }), small, b.Cap)
	},
	"peerstore/book: addresses of all peers": func(_ *testing.T, b troupe.Bound) int {
		const small, each = 1000, 64
		list := inventedAddrs(0, each)
		return scaled(filled(book.Config{Addrs: small}, 100*small/each, func(k *book.Book, i int) {
			k.Learn(boundEpoch, invented(i), list, time.Hour)
		}, func(s book.Stats) int { return s.Addrs }), small, b.Cap)
	},
	"peerstore/book: bytes of all peers": func(_ *testing.T, b troupe.Bound) int {
		var names []string
		for i := range 256 {
			names = append(names, fmt.Sprintf("/%0200d", i))
		}
		const small, each = 1 << 20, 256 * 200
		return scaled(filled(book.Config{Peers: 1000, Bytes: small}, 100*small/each, func(k *book.Book, i int) {
			_ = k.Identified(boundEpoch, invented(i), book.Statement{Facts: book.Facts{Protocols: names}})
		}, func(s book.Stats) int { return s.Bytes }), small, b.Cap)
	},
	"peerstore/book: addresses of one peer told by others": func(_ *testing.T, b troupe.Bound) int {
		return filled(book.Config{}, 100*b.Cap, func(k *book.Book, i int) {
			k.Learn(boundEpoch, invented(1), inventedAddrs(i, 1), time.Hour)
		}, func(s book.Stats) int { return s.Addrs })
	},
	"peerstore/book: addresses of a connected peer": func(t *testing.T, b troupe.Bound) int {
		k := book.New(book.Config{})
		if err := k.Connected(boundEpoch, invented(1)); err != nil {
			t.Fatal(err)
		}
		_ = k.Identified(boundEpoch, invented(1), book.Statement{Addrs: inventedAddrs(0, 100*b.Cap)})
		return k.Stats().Addrs
	},
	"peerstore/book: protocols of one peer": func(_ *testing.T, b troupe.Bound) int {
		var names []string
		for i := range 100 * b.Cap {
			names = append(names, fmt.Sprint("/", i))
		}
		return len(told(book.Facts{Protocols: names}).Protocols)
	},
	"peerstore/book: bytes of a protocol name or version": func(_ *testing.T, b troupe.Bound) int {
		return largest(b.Cap, func(n int) bool {
			name := "/" + strings.Repeat("x", n-1)
			f := told(book.Facts{Protocols: []string{name}, AgentVersion: name, ProtocolVersion: name})
			return len(f.Protocols) == 1 || len(f.AgentVersion) == n || len(f.ProtocolVersion) == n
		})
	},
	"peerstore/book: bytes of a sealed record": func(_ *testing.T, b troupe.Bound) int {
		return largest(b.Cap, func(n int) bool {
			record := &identity.PeerRecord{ID: invented(1), Seq: 1, Addrs: inventedAddrs(0, 1)}
			k := book.New(book.Config{})
			_ = k.Identified(boundEpoch, invented(1), book.Statement{Facts: book.Facts{Sealed: make([]byte, n)}, Record: record})
			f, _ := k.Facts(invented(1))
			return len(f.Sealed) > 0
		})
	},
}

// told is what a book keeps of what a peer says.
func told(f book.Facts) book.Facts {
	k := book.New(book.Config{})
	_ = k.Identified(boundEpoch, invented(1), book.Statement{Facts: f})
	got, _ := k.Facts(invented(1))
	return got
}

var boundedHandshakes = map[string]boundDriver{
	"negotiation/multistream: bytes of a message under way": func(t *testing.T, b troupe.Bound) (most int) {
		// A message of the greatest length that is believed, and one that claims more.
		for _, announced := range []uint64{multistream.MaxMessage, 100 * multistream.MaxMessage} {
			l := multistream.NewListener(multistream.OneOf("/x"))
			flood := []byte("\x13/multistream/1.0.0\n")
			if _, err := l.HandleBytes(flood); err != nil {
				t.Fatal(err)
			}
			flood = append(binary.AppendUvarint(nil, announced), bytes.Repeat([]byte{'x'}, 100*b.Cap)...)
			most = max(most, swallowed(flood, 100, l.HandleBytes))
		}
		return most
	},
	"negotiation/multistream: refusals not yet sent": func(_ *testing.T, b troupe.Bound) int {
		l := multistream.NewListener(multistream.OneOf("/x"))
		flood := []byte("\x13/multistream/1.0.0\n")
		for range 100 * b.Cap {
			flood = append(flood, "\x03/y\n"...)
		}
		_, _ = l.HandleBytes(flood)
		return bytes.Count(l.AppendOutput(nil), []byte("na\n"))
	},
	"negotiation/noise: bytes of a handshake message under way": func(t *testing.T, b troupe.Bound) (most int) {
		key, _ := newKey(t)
		static, err := noise.NewStatic(key, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		for _, announced := range []int{b.Cap - 2, b.Cap - 1, 65535} {
			h, err := noise.New(noise.Config{Static: static, Rand: rand.Reader})
			if err != nil {
				t.Fatal(err)
			}
			flood := binary.BigEndian.AppendUint16(nil, uint16(announced))
			most = max(most, swallowed(append(flood, make([]byte, 100*b.Cap)...), 1000, h.HandleBytes))
		}
		return most
	},
	"negotiation/noise: bytes of a frame under way": func(t *testing.T, b troupe.Bound) (most int) {
		open := noiseOpener(t)
		flood := append([]byte{0xff, 0xff}, make([]byte, 100*b.Cap)...)
		for len(flood) > 0 {
			n := min(97, len(flood))
			open.Feed(flood[:n])
			flood = flood[n:]
			if _, _, err := open.Next(); err != nil {
				return most // it is whole, and is none
			}
			most += n // kept until the frame is whole
		}
		return most
	},
	"negotiation/plaintext: bytes of the exchange message": func(t *testing.T, b troupe.Bound) (most int) {
		key, _ := newKey(t)
		for _, announced := range []uint64{plaintext.MaxMessage, plaintext.MaxMessage + 1, 1 << 40} {
			h, err := plaintext.New(key.Public())
			if err != nil {
				t.Fatal(err)
			}
			flood := append(binary.AppendUvarint(nil, announced), make([]byte, 100*b.Cap)...)
			most = max(most, swallowed(flood, 100, h.HandleBytes))
		}
		return most
	},
	"negotiation/tls: bytes queued for the handshake": func(t *testing.T, b troupe.Bound) (most int) {
		key, _ := newKey(t)
		id, err := tls.NewIdentity(key, boundEpoch)
		if err != nil {
			t.Fatal(err)
		}
		h, err := tls.NewHandshake(tls.Config{Server: true, Identity: id, Now: boundEpoch})
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close(nil)
		return swallowed(make([]byte, 100*b.Cap), 64<<10, func(p []byte) (int, error) {
			if err := h.Feed(p); err != nil {
				return 0, err
			}
			return len(p), nil
		})
	},
	"negotiation/upgrade: bytes of an upgrade": func(t *testing.T, b troupe.Bound) int {
		key, id := newKey(t)
		u, err := upgrade.New(upgrade.Config{
			Local: id, Security: []string{plaintext.ID}, AllowPlaintext: true, Key: key.Public(),
		}, boundEpoch)
		if err != nil {
			t.Fatal(err)
		}
		// A whole exchange, then muxers without end, of which none is known.
		other, _ := newKey(t)
		h, err := plaintext.New(other.Public())
		if err != nil {
			t.Fatal(err)
		}
		flood := []byte("\x13/multistream/1.0.0\n\x11/plaintext/2.0.0\n")
		flood = append(h.AppendOutput(flood), "\x13/multistream/1.0.0\n"...)
		name := append(binary.AppendUvarint(nil, 1022), "/"+strings.Repeat("y", 1020)+"\n"...)
		for len(flood) < 100*b.Cap {
			flood = append(flood, name...)
		}
		return swallowed(flood, 100, func(p []byte) (int, error) {
			n := len(p)
			if err := u.HandleBytes(boundEpoch, p); err != nil {
				return 0, err
			}
			u.AppendOutput(nil)
			return n, nil
		})
	},
}

// noiseOpener is the reading half of a channel that two of ours have made.
func noiseOpener(t *testing.T) *noise.Opener {
	t.Helper()
	var ends [2]*noise.Handshake
	for i := range ends {
		key, _ := newKey(t)
		static, err := noise.NewStatic(key, rand.Reader)
		if err == nil {
			ends[i], err = noise.New(noise.Config{Initiator: i == 0, Static: static, Rand: rand.Reader})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i < 8; i++ {
		if _, err := ends[(i+1)%2].HandleBytes(ends[i%2].AppendOutput(nil)); err != nil {
			t.Fatal(err)
		}
	}
	r, ok := ends[1].Done()
	if !ok {
		t.Fatal("no channel")
	}
	return r.Open
}

var boundedProtocols = map[string]boundDriver{
	"protocols/perf: bytes held of a stream": func(_ *testing.T, b troupe.Bound) int {
		s := perfcore.NewServer(perfcore.Config{}, boundEpoch)
		// It counts what comes, and keeps of it what it needs for its answer.
		kept := allocatedBy(func() {
			for range 100 {
				_ = s.HandleBytes(boundEpoch, make([]byte, b.Cap))
			}
		})
		up, _ := s.Counts()
		if up != uint64(99*b.Cap) {
			return -1
		}
		if kept > 4<<10 {
			return int(kept)
		}
		return b.Cap
	},
	"protocols/identify: bytes of a part": func(_ *testing.T, b troupe.Bound) int {
		return largest(b.Cap, func(n int) bool {
			r := message.NewReader(message.Config{}, boundEpoch)
			_, err := readIdentify(r, identifyPart(n))
			return err == nil
		})
	},
	"protocols/identify: parts of a message": func(_ *testing.T, b troupe.Bound) (most int) {
		r := message.NewReader(message.Config{}, boundEpoch)
		for range 100 * b.Cap {
			if r.HandleBytes(boundEpoch, identifyPart(10)) != nil {
				break
			}
			most++
		}
		return most
	},
	"protocols/identify: protocols of a message": func(_ *testing.T, b troupe.Bound) int {
		info, _ := readIdentify(message.NewReader(message.Config{}, boundEpoch), identifyFields(3, func(i int) []byte {
			return []byte(fmt.Sprintf("/%x", i))
		}))
		return len(info.Protocols)
	},
	"protocols/identify: listen addresses of a message": func(_ *testing.T, b troupe.Bound) int {
		info, _ := readIdentify(message.NewReader(message.Config{}, boundEpoch), identifyFields(2, func(i int) []byte {
			return inventedAddr(i).Bytes()
		}))
		return len(info.ListenAddrs)
	},
	"protocols/identify: bytes of a protocol name": func(_ *testing.T, b troupe.Bound) int {
		return largest(b.Cap, func(n int) bool {
			info, _ := readIdentify(message.NewReader(message.Config{}, boundEpoch), identifyField(3, []byte("/"+strings.Repeat("x", n-1))))
			return len(info.Protocols) == 1
		})
	},
	"protocols/identify: bytes of a version": func(_ *testing.T, b troupe.Bound) int {
		return largest(b.Cap, func(n int) bool {
			info, _ := readIdentify(message.NewReader(message.Config{}, boundEpoch), identifyField(6, bytes.Repeat([]byte("x"), n)))
			return len(info.AgentVersion) == n
		})
	},
	"protocols/identify: pushes of a peer at once": func(_ *testing.T, b troupe.Bound) (most int) {
		var p message.Pace
		for range 100 * b.Cap {
			if p.Allow(boundEpoch) {
				most++
			}
		}
		return most
	},
}

// identifyPart is a part of n bytes that says nothing.
func identifyPart(n int) []byte {
	body := []byte{15<<3 | 2} // a field that nobody knows
	if n < 4 {
		body = nil
	}
	for len(body) > 0 && len(body) < n {
		body = binary.AppendUvarint(body[:1], uint64(n-1))
		rest := n - len(body)
		body = binary.AppendUvarint(body[:1], uint64(rest))
		body = append(body, make([]byte, n-len(body))...)
	}
	return append(binary.AppendUvarint(nil, uint64(len(body))), body...)
}

// identifyField is a part with one field.
func identifyField(number int, value []byte) []byte {
	body := append(binary.AppendUvarint([]byte{byte(number<<3 | 2)}, uint64(len(value))), value...)
	return append(binary.AppendUvarint(nil, uint64(len(body))), body...)
}

// identifyFields are parts as full as they may be, as many as there may be.
func identifyFields(number int, value func(int) []byte) (all []byte) {
	i := 0
	for range 10 {
		var body []byte
		for len(body) < 8000 {
			v := value(i)
			i++
			body = append(binary.AppendUvarint(append(body, byte(number<<3|2)), uint64(len(v))), v...)
		}
		all = append(append(all, binary.AppendUvarint(nil, uint64(len(body)))...), body...)
	}
	return all
}

func readIdentify(r *message.Reader, p []byte) (message.Info, error) {
	if err := r.HandleBytes(boundEpoch, p); err != nil {
		return message.Info{}, err
	}
	return r.HandleEnd(boundEpoch)
}

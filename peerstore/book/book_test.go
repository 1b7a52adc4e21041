package book

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/identity"

	ma "github.com/multiformats/go-multiaddr"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// peerID makes an ID that has the form of one.
func peerID(n int) identity.ID {
	b := make([]byte, 34)
	b[0], b[1] = 0x12, 32
	binary.BigEndian.PutUint32(b[2:], uint32(n))
	return identity.ID(b)
}

func addr(t testing.TB, s string) ma.Multiaddr {
	t.Helper()
	a, err := ma.NewMultiaddr(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func tcp(t testing.TB, ports ...int) (out []ma.Multiaddr) {
	for _, p := range ports {
		out = append(out, addr(t, fmt.Sprintf("/ip4/192.0.2.1/tcp/%d", p)))
	}
	return out
}

func ports(from, n int) (out []int) {
	for i := range n {
		out = append(out, from+i)
	}
	return out
}

// want compares the ports of what is known of a peer, in order.
func want(t *testing.T, reason string, b *Book, now time.Time, id identity.ID, ports ...int) {
	t.Helper()
	var got []string
	for _, a := range b.Addrs(now, id) {
		got = append(got, a.Addr.String())
	}
	var exp []string
	for _, a := range tcp(t, ports...) {
		exp = append(exp, a.String())
	}
	if !slices.Equal(got, exp) {
		t.Fatalf("%s: %v, want %v", reason, got, exp)
	}
	check(t, b)
}

// check compares everything that is derived with what it is derived from.
func check(t *testing.T, b *Book) {
	t.Helper()
	addrs, bytes, placed, waking := 0, 0, 0, 0
	for id, p := range b.peers {
		if p.id != id {
			t.Fatalf("%s is filed under %s", p.id, id)
		}
		cost, wake := p.cost, p.wake
		p.measure()
		if cost != p.cost || !wake.Equal(p.wake) || p.countedAddrs != len(p.addrs) || p.countedCost != cost || b.costs.Get(id) != cost {
			t.Fatalf("%s: cost %d, counted %d, real %d; wake %v, real %v", id.Short(), cost, p.countedCost, p.cost, wake, p.wake)
		}
		addrs += len(p.addrs)
		bytes += p.cost
		if free := !p.connected && !p.pinned; free != (p.in != nil) || free && (p.in == &b.met) != p.met {
			t.Fatalf("%s is in the wrong order", id.Short())
		}
		if p.in != nil {
			placed++
		}
		if (p.pos != 0) != !p.wake.IsZero() || p.pos != 0 && b.due[p.pos-1] != p {
			t.Fatalf("%s has position %d, wake %v", id.Short(), p.pos, p.wake)
		}
		if p.pos != 0 {
			waking++
		}
		if len(p.addrs) > MaxAddrs+MaxOwnAddrs || len(p.facts.Protocols) > MaxProtocols {
			t.Fatalf("%s has %d addresses, %d protocols", id.Short(), len(p.addrs), len(p.facts.Protocols))
		}
		if len(p.addrs) == 0 && !p.connected && p.wake.IsZero() {
			t.Fatalf("%s is empty", id.Short())
		}
	}
	if b.addrs != addrs || b.bytes != bytes || placed != b.known.n+b.met.n || waking != len(b.due) || b.costs.Len() != len(b.peers) {
		t.Fatalf("%d of %d addresses, %d of %d bytes, %d of %d placed, %d of %d waking", b.addrs, addrs, b.bytes, bytes, b.known.n+b.met.n, placed, len(b.due), waking)
	}
	if len(b.peers) > b.cfg.Peers || b.over() {
		t.Fatalf("over a bound: %+v", b.Stats())
	}
}

func record(id identity.ID, seq uint64, addrs []ma.Multiaddr) *identity.PeerRecord {
	return &identity.PeerRecord{ID: id, Seq: seq, Addrs: addrs}
}

func TestHearsayExpires(t *testing.T) {
	b, id := New(Config{}), peerID(1)
	if n := b.Learn(epoch, id, tcp(t, 1, 2), TempTTL); n != 2 {
		t.Fatalf("%d taken", n)
	}
	b.Learn(epoch, id, tcp(t, 2), AddrTTL)
	want(t, "the longer life first", b, epoch, id, 2, 1)
	b.Learn(epoch, id, tcp(t, 2), TempTTL)
	want(t, "a shorter life changes nothing", b, epoch.Add(TempTTL), id, 2)
	want(t, "nothing is left", b, epoch.Add(AddrTTL), id)
	at, ok := b.Deadline()
	if !ok || !at.Equal(epoch.Add(TempTTL)) {
		t.Fatalf("deadline %v, %v", at.Sub(epoch), ok)
	}
	b.HandleTimeout(at)
	if b.Stats().Addrs != 1 {
		t.Fatalf("%d addresses after the first has expired", b.Stats().Addrs)
	}
	b.HandleTimeout(epoch.Add(AddrTTL))
	if s := b.Stats(); s.Peers != 0 || s.Bytes != 0 {
		t.Fatalf("left over: %+v", s)
	}
	if _, ok := b.Deadline(); ok {
		t.Fatal("an empty book has a deadline")
	}
}

func TestHearsayLivesNoLongerThanItsMaximum(t *testing.T) {
	b, id := New(Config{}), peerID(1)
	b.Learn(epoch, id, tcp(t, 1), 1<<62)
	b.Learn(epoch, id, tcp(t, 2), 0)
	b.Learn(epoch, id, tcp(t, 3), -time.Hour)
	b.Learn(epoch, "", tcp(t, 3), time.Hour)
	want(t, "a lifetime of centuries is cut, one of nothing is none", b, epoch.Add(MaxTTL-1), id, 1)
	want(t, "then it is over", b, epoch.Add(MaxTTL), id)
}

func TestTheConnectionKeepsWhatThePeerSays(t *testing.T) {
	b, id := New(Config{}), peerID(1)
	b.Learn(epoch, id, tcp(t, 9), TempTTL)
	if err := b.Connected(epoch, id); err != nil {
		t.Fatal(err)
	}
	if err := b.Identified(epoch, id, Statement{Addrs: tcp(t, 1, 2)}); err != nil {
		t.Fatal(err)
	}
	later := epoch.Add(100 * time.Hour)
	b.HandleTimeout(later)
	want(t, "hearsay is gone, the peer's word stays", b, later, id, 1, 2)
	if err := b.Identified(later, id, Statement{Addrs: tcp(t, 2, 3)}); err != nil {
		t.Fatal(err)
	}
	want(t, "what it no longer says is forgotten", b, later, id, 2, 3)
	b.Disconnected(later, id)
	b.Disconnected(later, id)
	want(t, "15 minutes more", b, later.Add(RecentTTL-1), id, 2, 3)
	b.HandleTimeout(later.Add(RecentTTL))
	if b.Stats().Peers != 0 {
		t.Fatalf("%+v", b.Stats())
	}
}

func TestAPeerThatSaysNothingIsKnownForAWhile(t *testing.T) {
	b, id := New(Config{}), peerID(1)
	if err := errors.Join(b.Connected(epoch, id), b.Identified(epoch, id, Statement{Facts: Facts{Protocols: []string{"/a"}}})); err != nil {
		t.Fatal(err)
	}
	check(t, b)
	b.Disconnected(epoch, id)
	check(t, b)
	b.HandleTimeout(epoch.Add(RecentTTL - 1))
	if _, ok := b.Supports(id, "/b", "/a"); !ok {
		t.Fatal("its protocols are forgotten at once")
	}
	b.HandleTimeout(epoch.Add(RecentTTL))
	if _, ok := b.Facts(id); ok {
		t.Fatal("its protocols are never forgotten")
	}
}

func TestOnlyANewerRecordOfThePeerItselfReplacesTheOlder(t *testing.T) {
	alice, mallory := peerID(1), peerID(2)
	b := New(Config{})
	if err := b.Connected(epoch, alice); err != nil {
		t.Fatal(err)
	}
	say := func(seq uint64, port int) error {
		return b.Identified(epoch, alice, Statement{Facts: Facts{Sealed: []byte{byte(seq)}}, Record: record(alice, seq, tcp(t, port)), Addrs: tcp(t, 99)})
	}
	for _, step := range []struct {
		seq  uint64
		port int
		want int
		err  error
	}{{5, 50, 50, nil}, {5, 51, 50, nil}, {4, 40, 50, ErrOldRecord}, {0, 1, 50, ErrOldRecord}, {6, 60, 60, nil}, {1<<64 - 1, 70, 70, nil}, {7, 71, 70, ErrOldRecord}} {
		if err := say(step.seq, step.port); !errors.Is(err, step.err) {
			t.Fatalf("record %d: %v, want %v", step.seq, err, step.err)
		}
		want(t, fmt.Sprintf("after record %d", step.seq), b, epoch, alice, step.want)
	}
	if f, _ := b.Facts(alice); string(f.Sealed) != "\xff" {
		t.Fatalf("sealed record %x", f.Sealed)
	}
	before := b.Stats().Peers
	if err := b.Identified(epoch, mallory, Statement{Record: record(alice, 1<<63, tcp(t, 666))}); !errors.Is(err, ErrForeignRecord) {
		t.Fatalf("mallory brings alice's record: %v", err)
	}
	if err := b.Certify(epoch, alice, *record(mallory, 1<<63, tcp(t, 666)), nil, time.Hour); !errors.Is(err, ErrForeignRecord) {
		t.Fatalf("mallory's record as alice's: %v", err)
	}
	want(t, "no address of it is stored", b, epoch, alice, 70)
	if b.Stats().Peers != before {
		t.Fatal("a refused record left a peer behind")
	}
}

func TestRecordsFromElsewhere(t *testing.T) {
	b, id := New(Config{}), peerID(1)
	if err := b.Certify(epoch, id, *record(id, 5, tcp(t, 1)), []byte("sealed"), time.Hour); err != nil {
		t.Fatal(err)
	}
	b.Learn(epoch, id, tcp(t, 9), 2*time.Hour)
	want(t, "certified before hearsay", b, epoch, id, 1, 9)
	for _, seq := range []uint64{4, 5} {
		if err := b.Certify(epoch, id, *record(id, seq, tcp(t, 2)), nil, time.Hour); !errors.Is(err, ErrOldRecord) {
			t.Fatalf("record %d after 5: %v", seq, err)
		}
	}
	if err := b.Certify(epoch, id, *record(id, 6, tcp(t, 3)), nil, 1<<62); err != nil {
		t.Fatal(err)
	}
	want(t, "a newer record replaces the older", b, epoch, id, 3, 9)
	want(t, "for 48 hours at most", b, epoch.Add(MaxTTL), id)
}

func TestHearsayCannotOutliveOrDisplaceThePeersWord(t *testing.T) {
	b, id := New(Config{}), peerID(1)
	if err := b.Certify(epoch, id, *record(id, 1, tcp(t, ports(1, 60)...)), nil, TempTTL); err != nil {
		t.Fatal(err)
	}
	for i := range 100 * MaxAddrs {
		b.Learn(epoch, id, tcp(t, 1000+i), time.Duration(i+1)*time.Second+time.Hour)
	}
	b.Learn(epoch, id, tcp(t, 1), MaxTTL)
	got := b.Addrs(epoch, id)
	if len(got) != MaxAddrs {
		t.Fatalf("%d addresses, want %d", len(got), MaxAddrs)
	}
	for i, a := range got {
		if (a.Source == Certified) != (i < 60) {
			t.Fatalf("address %d is from source %d", i, a.Source)
		}
	}
	want(t, "of hearsay what lives longest stays, in place of nothing else", b, epoch.Add(TempTTL), id, 7399, 7398, 7397, 7396)
}

func TestAConnectedPeerHasRoomForItsOwnAddressesAndSomeHearsay(t *testing.T) {
	b, id := New(Config{}), peerID(1)
	if err := errors.Join(b.Connected(epoch, id), b.Identified(epoch, id, Statement{Addrs: tcp(t, ports(1, 1000)...)})); err != nil {
		t.Fatal(err)
	}
	b.Learn(epoch, id, tcp(t, ports(2000, 1000)...), AddrTTL)
	if n := len(b.Addrs(epoch, id)); n != MaxOwnAddrs+MaxAddrs {
		t.Fatalf("%d addresses while connected", n)
	}
	b.Disconnected(epoch, id)
	want(t, "then the first of its own list", b, epoch, id, ports(1, MaxAddrs)...)
}

func TestPinnedAddressesStayUntilUnpinned(t *testing.T) {
	b, id := New(Config{Peers: 4}), peerID(1)
	b.Pin(epoch, id, tcp(t, 1))
	b.Learn(epoch, id, tcp(t, 1), TempTTL)
	for i := range 100 {
		b.Learn(epoch, peerID(10+i), tcp(t, 1), AddrTTL)
	}
	later := epoch.Add(1000 * time.Hour)
	b.HandleTimeout(later)
	want(t, "neither time nor gossip removes it", b, later, id, 1)
	b.Unpin(later, id)
	want(t, "15 minutes more", b, later.Add(RecentTTL-1), id, 1)
	want(t, "and gone", b, later.Add(RecentTTL), id)
}

func TestADialThatWorkedKeepsTheAddress(t *testing.T) {
	b, id := New(Config{}), peerID(1)
	b.Learn(epoch, id, tcp(t, 1), TempTTL)
	b.Worked(epoch, id, tcp(t, 1)[0])
	b.Worked(epoch, id, tcp(t, 77)[0])
	b.Worked(epoch, peerID(2), tcp(t, 1)[0])
	want(t, "it lives on, and no other is added", b, epoch.Add(RecentTTL-1), id, 1)
	if b.Stats().Peers != 1 {
		t.Fatalf("%+v", b.Stats())
	}
}

func TestForget(t *testing.T) {
	b := New(Config{})
	b.Learn(epoch, peerID(1), tcp(t, 1), AddrTTL)
	b.Learn(epoch, peerID(2), tcp(t, 1), AddrTTL)
	if err := b.Connected(epoch, peerID(2)); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		b.Forget(peerID(1 + i))
	}
	check(t, b)
	if got := b.Peers(); !slices.Equal(got, []identity.ID{peerID(2)}) || len(b.Addrs(epoch, peerID(2))) != 0 || !b.IsConnected(peerID(2)) {
		t.Fatalf("%d peers are left", len(got))
	}
}

// counter is a predictable source of keys.
type counter byte

func (c *counter) Read(p []byte) (int, error) {
	for i := range p {
		*c++
		p[i] = byte(*c)
	}
	return len(p), nil
}

func TestASealedRecordThatNobodyHasOpenedIsVerified(t *testing.T) {
	rand := counter(1)
	key, err := identity.GenerateKey(identity.Ed25519, &rand)
	if err != nil {
		t.Fatal(err)
	}
	id, err := identity.IDFromKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := record(id, 3, tcp(t, 1)).Seal(key)
	if err != nil {
		t.Fatal(err)
	}
	b := New(Config{})
	facts := Facts{PublicKey: key.Public(), Sealed: sealed}
	if err := b.Identified(epoch, peerID(1), Statement{Facts: facts}); !errors.Is(err, ErrForeignRecord) {
		t.Fatalf("somebody else's: %v", err)
	}
	forged := slices.Clone(sealed)
	forged[len(forged)-1] ^= 1
	if err := b.Identified(epoch, id, Statement{Facts: Facts{Sealed: forged}}); !errors.Is(err, identity.ErrSignature) {
		t.Fatalf("forged: %v", err)
	}
	if b.Stats().Peers != 0 {
		t.Fatal("a refused record left something behind")
	}
	if err := b.Identified(epoch, id, Statement{Facts: facts}); err != nil {
		t.Fatal(err)
	}
	if got := b.Addrs(epoch, id); len(got) != 1 || got[0].Source != Certified {
		t.Fatalf("%v", got)
	}
	again := New(Config{})
	if n := again.Import(epoch, b.Export(epoch)); n != 1 {
		t.Fatalf("%d peers imported", n)
	}
	if f, _ := again.Facts(id); f.PublicKey == nil || !f.PublicKey.Equal(key.Public()) {
		t.Fatal("the key is lost in the file")
	}
}

func TestFactsAreBounded(t *testing.T) {
	b, id := New(Config{}), peerID(1)
	var protocols []string
	for i := range 100 * MaxProtocols {
		protocols = append(protocols, fmt.Sprint("/p/", i))
	}
	if err := errors.Join(b.Connected(epoch, id), b.Identified(epoch, id, Statement{Facts: Facts{
		AgentVersion: "\x1b" + strings.Repeat("\xff", 10_000), ProtocolVersion: strings.Repeat("x", 10_000),
		Protocols: append([]string{"", strings.Repeat("x", maxText+1), "/\x1b[2J"}, protocols...),
		Sealed:    make([]byte, identity.MaxEnvelope+1),
	}, Record: record(id, 1, nil)})); err != nil {
		t.Fatal(err)
	}
	f, ok := b.Facts(id)
	if !ok || len(f.Protocols) != MaxProtocols || f.Protocols[0] != "/p/0" || len(f.AgentVersion) > maxText ||
		!strings.HasPrefix(f.AgentVersion, "??") || len(f.ProtocolVersion) != maxText || f.Sealed != nil {
		t.Fatalf("%d protocols, %d and %d bytes of text, %d sealed", len(f.Protocols), len(f.AgentVersion), len(f.ProtocolVersion), len(f.Sealed))
	}
	check(t, b)
}

func TestBoundsNameTheirAttack(t *testing.T) {
	for _, b := range Bounds() {
		if b.Name == "" || b.Cap <= 0 || b.Attack == "" {
			t.Errorf("incomplete bound %+v", b)
		}
	}
}

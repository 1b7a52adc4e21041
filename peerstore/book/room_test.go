package book

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/identity"
)

func TestGossipAboutInventedPeersCannotWashOutRealOnes(t *testing.T) {
	b := New(Config{Peers: 100})
	for i := range 75 {
		id := peerID(i)
		if err := errors.Join(b.Connected(epoch, id), b.Identified(epoch, id, Statement{Addrs: tcp(t, 1)})); err != nil {
			t.Fatal(err)
		}
		b.Disconnected(epoch, id)
	}
	for i := range 100 * 100 {
		b.Learn(epoch, peerID(1000+i), tcp(t, 1), AddrTTL)
	}
	check(t, b)
	for i := range 75 {
		want(t, "a peer that was met", b, epoch, peerID(i), 1)
	}
	if s := b.Stats(); s.Peers != 100 {
		t.Fatalf("%+v", s)
	}
}

func TestACrowdOfIdentitiesCannotWashOutWhatIsKnown(t *testing.T) {
	b := New(Config{Peers: 100})
	for i := range 100 {
		b.Learn(epoch, peerID(i), tcp(t, 1), AddrTTL)
	}
	for i := range 100 * 100 {
		id := peerID(1000 + i)
		if err := errors.Join(b.Connected(epoch, id), b.Identified(epoch, id, Statement{Addrs: tcp(t, 1)})); err != nil {
			t.Fatal(err)
		}
		b.Disconnected(epoch, id)
	}
	check(t, b)
	for i := 75; i < 100; i++ {
		want(t, "a quarter is for those only heard of, the newest of them", b, epoch, peerID(i), 1)
	}
}

func TestWhoIsInUseIsNeverForgotten(t *testing.T) {
	b := New(Config{Peers: 10})
	for i := range 10 {
		if i%2 == 0 {
			b.Pin(epoch, peerID(i), tcp(t, 1))
		} else if err := b.Connected(epoch, peerID(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Connected(epoch, peerID(50)); !errors.Is(err, ErrFull) {
		t.Fatalf("an eleventh: %v, want %v", err, ErrFull)
	}
	if err := b.Identified(epoch, peerID(50), Statement{}); !errors.Is(err, ErrFull) {
		t.Fatalf("an eleventh: %v, want %v", err, ErrFull)
	}
	if err := b.Certify(epoch, peerID(50), *record(peerID(50), 1, tcp(t, 1)), nil, AddrTTL); !errors.Is(err, ErrFull) {
		t.Fatalf("an eleventh: %v, want %v", err, ErrFull)
	}
	if n := b.Learn(epoch, peerID(50), tcp(t, 1), AddrTTL); n != 0 {
		t.Fatalf("%d addresses of an eleventh", n)
	}
	check(t, b)
}

func TestAddressesOfAllPeersAreBounded(t *testing.T) {
	b := New(Config{Addrs: 200})
	for i := range 100 {
		b.Learn(epoch, peerID(i), tcp(t, ports(1, 64)...), AddrTTL)
	}
	check(t, b)
	if s := b.Stats(); s.Addrs > 200 || s.Addrs < 200-64 || s.Evicted == 0 {
		t.Fatalf("%+v", s)
	}
	want(t, "the newest are there", b, epoch, peerID(99), ports(1, 64)...)

	b = New(Config{Addrs: 200})
	for i := range 10 {
		if err := errors.Join(b.Connected(epoch, peerID(i)), b.Identified(epoch, peerID(i), Statement{Addrs: tcp(t, ports(1, 64)...)})); err != nil {
			t.Fatal(err)
		}
	}
	check(t, b)
	want(t, "among connected peers the newcomer finds no room", b, epoch, peerID(9))
}

// greedy is a connected peer that says as much as identify lets through: 80 KiB of names.
func greedy(i int) Statement {
	var s Statement
	for j := range MaxProtocols {
		s.Protocols = append(s.Protocols, fmt.Sprintf("/%d/%068d", i, j))
	}
	return s
}

func TestWhoHoldsMostPaysBeforeHonestPeersDo(t *testing.T) {
	b := New(Config{Bytes: 4 << 20})
	honest := func(i int) identity.ID { return peerID(1_000_000 + i) }
	for i := range 100 {
		s := Statement{Addrs: tcp(t, 1, 2, 3)}
		for j := range 40 {
			s.Protocols = append(s.Protocols, fmt.Sprintf("/some/protocol/%d", j))
		}
		if err := errors.Join(b.Connected(epoch, honest(i)), b.Identified(epoch, honest(i), s)); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			b.Disconnected(epoch, honest(i))
		}
	}
	for i := range 1000 {
		if err := errors.Join(b.Connected(epoch, peerID(i)), b.Identified(epoch, peerID(i), greedy(i))); err != nil {
			t.Fatal(err)
		}
		if b.bytes > b.cfg.Bytes {
			t.Fatalf("%d bytes after %d greedy peers", b.bytes, i+1)
		}
	}
	check(t, b)
	for i := range 100 {
		f, _ := b.Facts(honest(i))
		if len(f.Protocols) != 40 || len(b.Addrs(epoch, honest(i))) != 3 {
			t.Fatalf("honest peer %d has %d protocols left", i, len(f.Protocols))
		}
	}
	if s := b.Stats(); s.Trimmed < 900 || s.Evicted != 0 {
		t.Fatalf("%+v", s)
	}
}

func TestWithEverybodyInUseTheNewcomerIsCut(t *testing.T) {
	b := New(Config{Peers: 100, Bytes: 1})
	for i := range 100 {
		s := Statement{Facts: Facts{AgentVersion: fmt.Sprintf("%0200d", i)}, Addrs: tcp(t, 1)}
		for j := range 100 {
			s.Protocols = append(s.Protocols, fmt.Sprintf("/protocol/%0100d", j))
		}
		if err := errors.Join(b.Connected(epoch, peerID(i)), b.Identified(epoch, peerID(i), s)); err != nil {
			t.Fatal(err)
		}
		check(t, b)
	}
	if n := len(b.Peers()); n != 100 {
		t.Fatalf("%d of 100 connected peers are known", n)
	}
}

func TestTheEstimateOfBytesIsNotFarOff(t *testing.T) {
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	b := New(Config{})
	for i := range 5000 {
		id := peerID(i)
		s := Statement{Addrs: tcp(t, ports(1, 10)...)}
		for j := range 30 {
			s.Protocols = append(s.Protocols, fmt.Sprintf("/protocol/%d/%d", j, i))
		}
		if err := errors.Join(b.Connected(epoch, id), b.Identified(epoch, id, s)); err != nil {
			t.Fatal(err)
		}
		b.Disconnected(epoch, id)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	real := int(after.HeapAlloc) - int(before.HeapAlloc)
	if got := b.Stats().Bytes; real > got*3/2 || real < got/3 {
		t.Fatalf("estimated %d bytes, the heap grew by %d", got, real)
	}
	runtime.KeepAlive(b)
}

func TestManyExpiriesAreSpreadOverSeveralTurns(t *testing.T) {
	b := New(Config{})
	const n = 5 * sweepMost
	for i := range n {
		b.Learn(epoch, peerID(i), tcp(t, 1), TempTTL)
	}
	now := epoch.Add(TempTTL)
	turns := 0
	for {
		at, ok := b.Deadline()
		if !ok {
			break
		}
		if at.After(now) {
			t.Fatalf("%d peers are left and the next turn is at %v", b.Stats().Peers, at.Sub(epoch))
		}
		before := b.Stats().Peers
		b.HandleTimeout(now)
		if turns++; before-b.Stats().Peers > sweepMost {
			t.Fatalf("%d peers in one turn", before-b.Stats().Peers)
		}
		check(t, b)
	}
	if turns < 5 || b.Stats().Peers != 0 {
		t.Fatalf("%d turns, %d left", turns, b.Stats().Peers)
	}
}

func TestSweepsAreNotMoreOftenThanTenSeconds(t *testing.T) {
	b := New(Config{})
	for i := range 100 {
		b.Learn(epoch, peerID(i), tcp(t, 1), time.Duration(i+1)*time.Second)
	}
	turns := 0
	for at, ok := b.Deadline(); ok; at, ok = b.Deadline() {
		b.HandleTimeout(at)
		turns++
	}
	if turns > 11 {
		t.Fatalf("%d turns for a hundred seconds", turns)
	}
}

func fill(t *testing.T) *Book {
	t.Helper()
	b := New(Config{})
	b.Pin(epoch, peerID(1), tcp(t, 1))
	b.Learn(epoch, peerID(2), tcp(t, 2), AddrTTL)
	if err := errors.Join(b.Connected(epoch, peerID(3)), b.Identified(epoch, peerID(3), Statement{
		Facts: Facts{AgentVersion: "a", ProtocolVersion: "p", Protocols: []string{"/x"}}, Record: record(peerID(3), 9, tcp(t, 3)),
	}), b.Connected(epoch, peerID(4)), b.Identified(epoch, peerID(4), Statement{Addrs: tcp(t, 4)})); err != nil {
		t.Fatal(err)
	}
	b.Disconnected(epoch, peerID(4))
	return b
}

func TestTheBookSurvivesAFile(t *testing.T) {
	now := epoch.Add(time.Minute)
	saved := fill(t).Export(now)
	if len(saved) != 4 {
		t.Fatalf("%d peers exported", len(saved))
	}
	b := New(Config{})
	later := epoch.Add(-10 * 365 * 24 * time.Hour) // the clock was set back in between
	if n := b.Import(later, saved); n != 4 {
		t.Fatalf("%d peers imported", n)
	}
	want(t, "pinned", b, later.Add(100*time.Hour), peerID(1), 1)
	want(t, "an hour less a minute", b, later.Add(59*time.Minute-1), peerID(2), 2)
	want(t, "an hour less a minute", b, later.Add(59*time.Minute), peerID(2))
	want(t, "connected then, recent now", b, later.Add(RecentTTL-1), peerID(3), 3)
	want(t, "recent then", b, later.Add(14*time.Minute-1), peerID(4), 4)
	f, _ := b.Facts(peerID(3))
	if f.AgentVersion != "a" || f.ProtocolVersion != "p" || !slices.Equal(f.Protocols, []string{"/x"}) {
		t.Fatalf("%+v", f)
	}
	if err := b.Certify(later, peerID(3), *record(peerID(3), 8, tcp(t, 5)), nil, AddrTTL); !errors.Is(err, ErrOldRecord) {
		t.Fatalf("a record older than before the restart: %v", err)
	}
}

func TestADamagedFileIsTakenAsFarAsItMakesSense(t *testing.T) {
	b := New(Config{Peers: 10})
	good := SavedAddr{Addr: tcp(t, 1)[0].Bytes(), Source: Told, TTL: time.Hour}
	saved := []Saved{
		{Peer: "nonsense", Addrs: []SavedAddr{good}},
		{Peer: peerID(1), Addrs: []SavedAddr{{Addr: []byte{1, 2, 3}, TTL: time.Hour}, {Addr: good.Addr, Source: 77, TTL: time.Hour}, {Addr: good.Addr, TTL: -5}}},
		{Peer: peerID(2), Addrs: []SavedAddr{{Addr: good.Addr, TTL: 1 << 62}}, PublicKey: []byte{1}, AgentVersion: "\xff"},
	}
	if n := b.Import(epoch, saved); n != 1 {
		t.Fatalf("%d peers, want 1", n)
	}
	want(t, "the good one", b, epoch.Add(MaxTTL-1), peerID(2), 1)
	for i := range 100 * 10 {
		b.Import(epoch, []Saved{{Peer: peerID(100 + i), Met: i%2 == 0, Addrs: []SavedAddr{good}}})
	}
	check(t, b)
}

func TestTheBookSurvivesACrashOfItsActor(t *testing.T) {
	b := fill(t)
	// A change was cut off: an address is there and nothing that is derived from it.
	p := b.peers[peerID(2)]
	p.put(string(tcp(t, 22)[0].Bytes()), Told, epoch.Add(AddrTTL))
	b.peers[peerID(7)] = &peer{id: peerID(7), used: 3}
	b.due[0].pos, b.addrs, b.known.n, b.met.head = 9, -4, 100, nil

	b.Repair(epoch, []identity.ID{peerID(4), peerID(8)})
	check(t, b)
	if b.IsConnected(peerID(3)) || !b.IsConnected(peerID(4)) || !b.IsConnected(peerID(8)) {
		t.Fatal("it does not know who is connected")
	}
	want(t, "pinned", b, epoch.Add(100*time.Hour), peerID(1), 1)
	want(t, "told", b, epoch, peerID(2), 2, 22)
	want(t, "gone in the meantime", b, epoch.Add(RecentTTL-1), peerID(3), 3)
	want(t, "gone in the meantime", b, epoch.Add(RecentTTL), peerID(3))
	want(t, "come back in the meantime", b, epoch.Add(100*time.Hour), peerID(4), 4)
}

// FuzzBook plays any order of commands on a small book and checks all that must hold.
func FuzzBook(f *testing.F) {
	f.Add([]byte{0, 1, 2, 1, 1, 0, 3, 1, 9, 4, 1, 0, 5, 0, 200})
	f.Add([]byte("learn, pin, connect, identify, certify, disconnect, sweep, forget, repair"))
	every := tcp(f, ports(1, 30)...)
	var names []string
	for i := range 256 {
		names = append(names, fmt.Sprintf("/%0200d", i))
	}
	f.Fuzz(func(t *testing.T, ops []byte) {
		b := New(Config{Peers: 6, Addrs: 40, Bytes: 40 << 10})
		now := epoch
		for i := 0; i+2 < len(ops) && i < 300; i += 3 {
			id, arg := peerID(int(ops[i+1]%12)), int(ops[i+2])
			list := every[arg%7:][:arg%20]
			switch ops[i] % 12 {
			case 0, 1:
				b.Learn(now, id, list, time.Duration(arg)*time.Second)
			case 2:
				if arg < 30 {
					b.Pin(now, id, list[:min(2, len(list))])
				}
			case 3:
				_ = b.Connected(now, id)
			case 4:
				b.Disconnected(now, id)
			case 5, 6:
				s := Statement{Facts: Facts{Protocols: names[:arg]}, Addrs: list}
				if arg&1 == 0 {
					s.Record, s.Sealed = record(id, uint64(arg), list), make([]byte, arg*10)
				}
				_ = b.Identified(now, id, s)
			case 7:
				_ = b.Certify(now, id, *record(id, uint64(arg), list), nil, time.Duration(arg)*time.Second)
			case 8:
				now = now.Add(time.Duration(arg) * time.Second)
				b.HandleTimeout(now)
			case 9:
				b.Forget(id)
				b.Unpin(now, peerID(arg%12))
			case 10:
				b.Repair(now, []identity.ID{id, peerID(arg % 12)})
			case 11:
				again := New(b.cfg)
				again.Import(now, b.Export(now))
				check(t, again)
			}
			check(t, b)
			for _, a := range b.Addrs(now, id) {
				if !a.Expires.IsZero() && !now.Before(a.Expires) {
					t.Fatalf("an expired address is served: %v", a)
				}
			}
		}
	})
}

func BenchmarkLearn(b *testing.B) {
	book := New(Config{})
	list := tcp(b, 1, 2, 3, 4, 5)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		book.Learn(epoch, peerID(i%20_000), list, AddrTTL)
	}
}

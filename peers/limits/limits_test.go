package limits

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/troupe-p2p/troupe/identity"
)

const alice, bob, carol identity.ID = "\x00\x01a", "\x00\x01b", "\x00\x01c"

func must(t *testing.T) func(Token, error) Token {
	return func(tok Token, err error) Token {
		t.Helper()
		if err != nil {
			t.Fatalf("refused: %v", err)
		}
		return tok
	}
}

func refusal(t *testing.T, err error, limit string) Refusal {
	t.Helper()
	var r Refusal
	if !errors.As(err, &r) || r.Limit != limit {
		t.Fatalf("got %v, want a refusal by %s", err, limit)
	}
	return r
}

func TestZeroIsTheDefaultAndNegativeIsNone(t *testing.T) {
	got := Limits{Conns: -1, Streams: 7}.WithDefaults()
	want := Limits{
		Conns: 0, ConnsPerPeer: DefaultConnsPerPeer, ConnsPerPrefix: DefaultConnsPerPrefix,
		NewConnsPerPrefix: DefaultNewConnsPerPrefix,
		Exempt:            []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		HalfOpen:          DefaultHalfOpen, HalfOpenOut: DefaultHalfOpenOut, StreamsPerConn: DefaultStreamsPerConn,
		Streams: 7, BufferBytes: DefaultBufferBytes,
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v, want %+v", got, want)
	}
	if none := (Limits{Exempt: []netip.Prefix{}}).WithDefaults(); len(none.Exempt) > 0 {
		t.Fatalf("%v are exempt, want nobody", none.Exempt)
	}
	a := New(Limits{Conns: -1})
	_, err := a.Conn(alice, Local)
	if r := refusal(t, err, "Conns"); r.Cap != 0 || r.Holder != "" {
		t.Fatalf("refusal %+v", r)
	}
}

func TestPeerMayHoldSoManyConnectionsAndAnotherIsFree(t *testing.T) {
	a, ok := New(Limits{ConnsPerPeer: 2}), must(t)
	ok(a.Conn(alice, Remote))
	first := ok(a.Conn(alice, Local))
	_, err := a.Conn(alice, Remote)
	if r := refusal(t, err, "ConnsPerPeer"); r.Holder != alice || r.HolderUsed != 2 || r.Cap != 2 {
		t.Fatalf("refusal %+v", r)
	}
	ok(a.Conn(bob, Remote))
	a.Release(first)
	ok(a.Conn(alice, Remote))
}

func TestRemotesLeaveAnEighthToTheNode(t *testing.T) {
	a, ok := New(Limits{Conns: 16, ConnsPerPeer: 100, Streams: 8}), must(t)
	var last Token
	for range 14 {
		last = ok(a.Conn(alice, Remote))
	}
	_, err := a.Conn(bob, Remote)
	if r := refusal(t, err, "Conns"); r.Cap != 14 || r.Used != 14 || r.Holder != alice || r.Unit != "inbound connections" {
		t.Fatalf("refusal %+v", r)
	}
	ok(a.Conn(bob, Local))
	ok(a.Conn(bob, Local))
	_, err = a.Conn(bob, Local)
	if r := refusal(t, err, "Conns"); r.Cap != 16 || r.Used != 16 {
		t.Fatalf("refusal %+v", r)
	}
	for range 7 {
		ok(a.Stream(last, Remote))
	}
	_, err = a.Stream(last, Remote)
	refusal(t, err, "Streams")
	ok(a.Stream(last, Local))
}

func TestStreamsOfAConnectionAreCountedForEachSide(t *testing.T) {
	a, ok := New(Limits{StreamsPerConn: 2}), must(t)
	conn := ok(a.Conn(alice, Remote))
	for range 2 {
		ok(a.Stream(conn, Remote))
		ok(a.Stream(conn, Local))
	}
	for _, side := range []Side{Remote, Local} {
		_, err := a.Stream(conn, side)
		if r := refusal(t, err, "StreamsPerConn"); r.Holder != alice || r.HolderUsed != 2 {
			t.Fatalf("refusal %+v", r)
		}
	}
	ok(a.Stream(ok(a.Conn(alice, Remote)), Remote))
}

func TestDialsHaveTheirOwnLimit(t *testing.T) {
	a, ok := New(Limits{HalfOpenOut: 2, Conns: -1}), must(t)
	first := ok(a.Dial(alice))
	ok(a.Dial(alice))
	_, err := a.Dial(bob)
	if r := refusal(t, err, "HalfOpenOut"); r.Holder != alice || r.HolderUsed != 2 {
		t.Fatalf("refusal %+v", r)
	}
	if _, err := a.Stream(first, Local); !errors.Is(err, ErrStale) {
		t.Fatalf("a stream on a dial: %v", err)
	}
	a.Release(first)
	ok(a.Dial(bob))
}

func TestBytesAreGrantedToTheTotalAndKeptWhenRefused(t *testing.T) {
	a, ok := New(Limits{BufferBytes: 100}), must(t)
	conn := ok(a.Conn(alice, Remote))
	other := ok(a.Stream(ok(a.Conn(bob, Remote)), Remote))
	for _, step := range []struct {
		tok  Token
		n    int
		used int
		fits bool
	}{
		{conn, 60, 60, true}, {other, 40, 100, true}, {other, 41, 100, false}, {conn, 60, 100, true},
		{conn, 10, 50, true}, {other, 91, 50, false}, {other, 90, 100, true}, {other, -5, 10, true},
	} {
		err := a.Hold(step.tok, step.n)
		if (err == nil) != step.fits {
			t.Fatalf("Hold(%d): %v", step.n, err)
		}
		if err != nil {
			refusal(t, err, "BufferBytes")
		}
		if got := a.Usage()[3].Used; got != step.used {
			t.Fatalf("Hold(%d): %d bytes in use, want %d", step.n, got, step.used)
		}
	}
	if a.Release(conn); a.Usage()[3].Used != 0 {
		t.Fatal("a released connection keeps its bytes")
	}
	if err := a.Hold(conn, 1); !errors.Is(err, ErrStale) {
		t.Fatalf("bytes for a released connection: %v", err)
	}
}

func TestReleasingTwiceChangesNothingAndIsCounted(t *testing.T) {
	a, ok := New(Limits{}), must(t)
	conn := ok(a.Conn(alice, Remote))
	stream := ok(a.Stream(conn, Remote))
	if !a.Release(stream) || a.Release(stream) || a.Stale() != 1 {
		t.Fatalf("second release of a stream: %d stale", a.Stale())
	}
	again := ok(a.Stream(conn, Remote)) // takes the slot that was freed
	if a.Release(stream) || a.Stale() != 2 {
		t.Fatal("an old token releases the new owner of its slot")
	}
	if _, streams, _ := a.Of(alice); streams != 1 {
		t.Fatalf("%d streams, want 1", streams)
	}
	if a.Release(Token{}) || a.Release(Token{slot: 99, gen: 1}) {
		t.Fatal("a token that never was releases something")
	}
	a.Release(conn)
	if a.Release(again) {
		t.Fatal("a stream outlives its connection")
	}
}

func TestTheEndOfAConnectionReleasesEverythingUnderIt(t *testing.T) {
	a, ok := New(Limits{}), must(t)
	conn, other := ok(a.Conn(alice, Remote)), ok(a.Conn(alice, Remote))
	for i := range 1000 {
		s := ok(a.Stream(conn, Side(i%2)))
		if err := a.Hold(s, 256<<10>>8); err != nil {
			t.Fatal(err)
		}
		if i%3 == 0 {
			a.Release(s)
		}
	}
	ok(a.Stream(other, Remote))
	a.Release(conn)
	if conns, streams, bytes := a.Of(alice); conns != 1 || streams != 1 || bytes != 0 {
		t.Fatalf("%d connections, %d streams, %d bytes are left; want 1, 1, 0", conns, streams, bytes)
	}
	if _, err := a.Stream(conn, Local); !errors.Is(err, ErrStale) {
		t.Fatalf("a stream on a released connection: %v", err)
	}
	a.Release(other)
	for _, u := range a.Usage() {
		if u.Used != 0 || u.Holder != "" {
			t.Fatalf("left over: %+v", u)
		}
	}
}

func TestRefusalNamesTheLimitAndWhoHoldsMost(t *testing.T) {
	a, ok := New(Limits{Streams: 8, BufferBytes: 10}), must(t)
	for i, peer := range []identity.ID{alice, bob, bob, carol, bob, alice, bob} {
		s := ok(a.Stream(ok(a.Conn(peer, Remote)), Remote))
		if i == 1 {
			if err := a.Hold(s, 10); err != nil {
				t.Fatal(err)
			}
		}
	}
	ok(a.Stream(ok(a.Conn(carol, Local)), Local))
	conn := ok(a.Conn(carol, Local))
	_, err := a.Stream(conn, Local)
	if got, want := err.Error(), "limit: 8 of 8 streams in use, peer "+bob.String()+" holds 4 (Limits.Streams)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	err = a.Hold(conn, 7)
	if got, want := err.Error(), "limit: peer "+bob.String()+" holds 10 of 10 buffered bytes, 7 more wanted (Limits.BufferBytes)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestBoundsNameTheirAttackAndHold(t *testing.T) {
	for _, b := range Bounds() {
		if b.Name == "" || b.Cap <= 0 || b.Attack == "" {
			t.Errorf("incomplete bound %+v", b)
		}
	}
	a, ok := New(Limits{Conns: 100, Streams: 200, StreamsPerConn: 10, ConnsPerPeer: 3}), must(t)
	for i := range 100 * 100 {
		peer := identity.ID([]byte{0, 2, byte(i), byte(i >> 8)})
		conn, err := a.Conn(peer, Remote)
		if err != nil {
			refusal(t, err, "Conns")
			continue
		}
		for range 100 {
			if _, err := a.Stream(conn, Remote); err != nil && !strings.HasPrefix(err.Error(), "limit: ") {
				t.Fatal(err)
			}
		}
	}
	if u := a.Usage(); u[0].Used != forRemotes(100) || u[2].Used != forRemotes(200) {
		t.Fatalf("a hundred times the caps fill %+v", u)
	}
	ok(a.Conn(alice, Local))
	if len(a.slots) > 1+100+200 {
		t.Fatalf("%d slots for 300 reservations", len(a.slots))
	}
}

// FuzzAccount keeps plain books beside the account.
func FuzzAccount(f *testing.F) {
	f.Add([]byte{0, 0, 1, 0, 2, 9, 3, 0, 3, 0, 0, 1, 1, 1})
	f.Add([]byte("reserve and release in any order"))
	f.Fuzz(func(t *testing.T, ops []byte) {
		a := New(Limits{Conns: 10, ConnsPerPeer: 4, HalfOpenOut: 3, Streams: 20, StreamsPerConn: 5, BufferBytes: 1000})
		type entry struct {
			tok   Token
			conn  int // index of the connection, itself for one
			what  kind
			bytes int
		}
		var all []entry // in order of reservation
		live := map[int]bool{}
		for i := 0; i+1 < len(ops); i += 2 {
			arg := int(ops[i+1])
			peer := identity.ID([]byte{0, 1, byte(arg % 3)})
			pick := -1
			if len(all) > 0 {
				pick = arg % len(all)
			}
			switch ops[i] % 5 {
			case 0:
				if tok, err := a.Conn(peer, Side(arg&1)); err == nil {
					live[len(all)] = true
					all = append(all, entry{tok: tok, conn: len(all), what: aConn})
				}
			case 1:
				if tok, err := a.Dial(peer); err == nil {
					live[len(all)] = true
					all = append(all, entry{tok: tok, conn: len(all), what: aDial})
				}
			case 2:
				if pick < 0 {
					continue
				}
				tok, err := a.Stream(all[pick].tok, Side(arg&1))
				if err == nil {
					if !live[pick] || all[pick].what != aConn {
						t.Fatal("a stream on what is not a connection")
					}
					live[len(all)] = true
					all = append(all, entry{tok: tok, conn: pick, what: aStream})
				}
			case 3:
				if pick < 0 {
					continue
				}
				was := live[pick]
				if a.Release(all[pick].tok) != was {
					t.Fatalf("release disagrees with the books: %v", was)
				}
				for j := range all {
					if j == pick || was && all[j].conn == pick {
						delete(live, j)
					}
				}
			case 4:
				if pick < 0 {
					continue
				}
				err := a.Hold(all[pick].tok, arg*3)
				if errors.Is(err, ErrStale) == live[pick] {
					t.Fatalf("Hold: %v, live %v", err, live[pick])
				}
				if err == nil {
					all[pick].bytes = arg * 3
				}
			}
			var used [4]int
			for j := range live {
				used[all[j].what-aConn]++
				used[3] += all[j].bytes
			}
			for k, u := range a.Usage() {
				if u.Used != used[k] || u.Used > u.Cap || (u.Holder == "") != (u.Used == 0) {
					t.Fatalf("%+v, the books say %d", u, used[k])
				}
			}
		}
	})
}

func BenchmarkStream(b *testing.B) {
	a := New(Limits{})
	conn, err := a.Conn(alice, Remote)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		s, _ := a.Stream(conn, Remote)
		a.Release(s)
	}
}

func BenchmarkRefusedStream(b *testing.B) {
	a := New(Limits{StreamsPerConn: -1})
	conn, err := a.Conn(alice, Remote)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Stream(conn, Remote); err == nil {
			b.Fatal("granted")
		}
	}
}

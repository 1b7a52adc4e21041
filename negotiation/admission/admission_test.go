package admission

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/addrs"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func ip(s string) netip.Prefix { return addrs.LimitPrefix(netip.MustParseAddr(s)) }

// TestWhoPays plays one admission into a full table.
func TestWhoPays(t *testing.T) {
	type half struct {
		source string
		stage  Stage
	}
	many := func(n int, source string, stage Stage) (out []half) {
		for range n {
			out = append(out, half{source, stage})
		}
		return out
	}
	for _, c := range []struct {
		name  string
		slots int
		held  []half
		want  uint64 // index in held
	}{
		{"the oldest of the silent", 4, []half{
			{"192.0.2.1", Secured}, {"192.0.2.2", Silent}, {"192.0.2.3", Silent}, {"192.0.2.4", Speaking}}, 1},
		{"the oldest of the next stage when none is silent", 4, []half{
			{"192.0.2.1", Secured}, {"192.0.2.2", Speaking}, {"192.0.2.3", Securing}, {"192.0.2.4", Speaking}}, 1},
		{"a stage below its quarter does not pay", 16, slices.Concat(
			many(2, "192.0.2.1", Silent), many(4, "192.0.2.2", Securing), many(4, "192.0.2.3", Securing),
			many(3, "192.0.2.4", Securing), many(3, "192.0.2.5", Speaking)), 2},
		{"the source with more than a quarter, though others are older and lower", 16, slices.Concat(
			many(4, "192.0.2.1", Silent), many(4, "192.0.2.2", Silent), many(3, "192.0.2.3", Silent),
			many(5, "192.0.2.4", Secured)), 11},
		{"the stage of that source which has a quarter of it", 16, slices.Concat(
			many(7, "192.0.2.1", Silent), many(1, "192.0.2.2", Silent), many(8, "192.0.2.2", Speaking)), 8},
		{"with no more than a quarter each the oldest pays", 16, slices.Concat(
			many(1, "192.0.2.1", Silent), many(4, "192.0.2.2", Silent), many(4, "192.0.2.3", Silent),
			many(4, "192.0.2.4", Silent), many(3, "192.0.2.5", Silent)), 0},
		{"a table of one slot", 1, []half{{"192.0.2.1", Secured}}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := New(Config{Slots: c.slots})
			for i, h := range c.held {
				if evicted := table.Admit(epoch, uint64(i), ip(h.source)); len(evicted) != 0 {
					t.Fatalf("connection %d of %d costs %v its slot", i, c.slots, evicted)
				}
				table.Progress(uint64(i), h.stage)
			}
			if got := table.Admit(epoch, 1000, ip("198.51.100.1")); !slices.Equal(got, []uint64{c.want}) {
				t.Fatalf("%v pays, want %d", got, c.want)
			}
			if table.Len() != c.slots {
				t.Fatalf("%d half-open in %d slots", table.Len(), c.slots)
			}
		})
	}
}

func TestOnlyGoingForwardCounts(t *testing.T) {
	table := New(Config{Slots: 2})
	table.Admit(epoch, 1, ip("192.0.2.1"))
	table.Progress(1, Securing)
	table.Admit(epoch, 2, ip("192.0.2.2"))
	table.Progress(2, Securing)
	table.Progress(1, Securing) // again: its age must not start anew
	table.Progress(1, Speaking)
	table.Progress(99, Secured) // nobody
	if got := table.Admit(epoch, 3, ip("192.0.2.3")); !slices.Equal(got, []uint64{1}) {
		t.Fatalf("%v pays, want 1", got)
	}
	if got := table.Stats(); got.Evicted[Securing] != 1 || got.Half != [stages]int{Silent: 1, Securing: 1} {
		t.Fatalf("stats %+v", got)
	}
}

func TestDoneFreesTheSlotOnce(t *testing.T) {
	table := New(Config{Slots: 1})
	table.Admit(epoch, 1, ip("192.0.2.1"))
	if again := table.Admit(epoch, 1, ip("192.0.2.1")); len(again) != 0 || table.Len() != 1 {
		t.Fatalf("an id twice: %v evicted, %d held", again, table.Len())
	}
	if !table.Done(1) || table.Done(1) || table.Len() != 0 {
		t.Fatalf("done twice leaves %d", table.Len())
	}
	if got := table.Admit(epoch, 2, ip("192.0.2.1")); len(got) != 0 {
		t.Fatalf("a free slot costs %v", got)
	}
	table.Admit(epoch, 3, ip("192.0.2.1")) // evicts 2
	if table.Done(2) {
		t.Fatal("an evicted connection still had a slot")
	}
	if got := table.Oldest(epoch.Add(time.Second)); got != time.Second {
		t.Fatalf("oldest is %v", got)
	}
	if p, n := table.TopSource(); p != ip("192.0.2.1") || n != 1 {
		t.Fatalf("top source %v with %d", p, n)
	}
}

func TestNegativeSlotsAreOne(t *testing.T) {
	if got := New(Config{Slots: -5}).slots; got != 1 {
		t.Fatalf("%d slots", got)
	}
	if got := New(Config{}).slots; got != DefaultSlots {
		t.Fatalf("%d slots by default, want %d", got, DefaultSlots)
	}
}

func TestBoundsNameTheirAttack(t *testing.T) {
	for _, b := range Bounds() {
		if b.Name == "" || b.Cap <= 0 || b.Attack == "" {
			t.Errorf("incomplete bound %+v", b)
		}
	}
}

// FuzzTable keeps the books beside the table.
func FuzzTable(f *testing.F) {
	f.Add(uint8(4), []byte{0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 0x41, 1, 0x82, 0})
	f.Add(uint8(20), []byte("admit, progress, done and again"))
	f.Fuzz(func(t *testing.T, slots uint8, ops []byte) {
		table := New(Config{Slots: int(slots)})
		held := map[uint64]Stage{}
		for i := 0; i+1 < len(ops); i += 2 {
			id, arg := uint64(ops[i]&0x3f), ops[i+1]
			switch ops[i] >> 6 {
			case 0, 1:
				_, known := held[id]
				evicted := table.Admit(epoch, id, ip(netip.AddrFrom4([4]byte{192, 0, 2, arg & 7}).String()))
				for _, v := range evicted {
					if _, ok := held[v]; !ok || v == id {
						t.Fatalf("evicted %d, which is not there", v)
					}
					delete(held, v)
				}
				if !known {
					held[id] = Silent
				}
			case 2:
				if _, ok := held[id]; ok {
					held[id] = max(held[id], min(Stage(arg), Secured))
				}
				table.Progress(id, Stage(arg))
			case 3:
				_, ok := held[id]
				delete(held, id)
				if table.Done(id) != ok {
					t.Fatalf("Done(%d) disagrees with the books: %v", id, ok)
				}
			}
			var half [stages]int
			for _, s := range held {
				half[s]++
			}
			if table.Len() != len(held) || table.Len() > table.slots || table.Stats().Half != half {
				t.Fatalf("holds %d in %d slots, %v by stage; the books say %v", table.Len(), table.slots, table.Stats().Half, half)
			}
		}
	})
}

func BenchmarkAdmitUnderFlood(b *testing.B) {
	table := New(Config{})
	var source [1000]netip.Prefix
	for i := range source {
		source[i] = addrs.LimitPrefix(netip.AddrFrom4([4]byte{127, 1, byte(i >> 8), byte(i)}))
	}
	b.ReportAllocs()
	for i := uint64(0); b.Loop(); i++ {
		table.Admit(epoch, i, source[i%1000])
	}
}

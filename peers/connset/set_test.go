package connset

import (
	"errors"
	"testing"
	"time"
)

func add(t *testing.T, s *Set, now time.Time, cs ...Conn) {
	t.Helper()
	for _, c := range cs {
		if err := s.Add(now, c); err != nil {
			t.Fatalf("connection %d: %v", c.ID, err)
		}
	}
}

func events(s *Set) (all []Event) {
	for e, ok := s.Next(); ok; e, ok = s.Next() {
		all = append(all, e)
	}
	return all
}

func wantEvents(t *testing.T, reason string, s *Set, want ...Event) {
	t.Helper()
	got := events(s)
	if len(got) != len(want) {
		t.Fatalf("%s: %#v, want %#v", reason, got, want)
	}
	for i := range got {
		if f, ok := got[i].(Failed); ok {
			if w, _ := want[i].(Failed); f.Req != w.Req || !errors.Is(f.Err, w.Err) {
				t.Fatalf("%s: %#v, want %#v", reason, got[i], want[i])
			}
		} else if got[i] != want[i] {
			t.Fatalf("%s: %#v, want %#v", reason, got[i], want[i])
		}
	}
}

func TestBest(t *testing.T) {
	const out, in = true, false
	for _, c := range []struct {
		name   string
		conns  []Conn
		doubt  []uint64 // these do not answer the probe
		agreed bool
		direct bool
		want   uint64 // 0: none
	}{
		{name: "none"},
		{name: "the older", conns: []Conn{{1, in, false}, {2, out, false}}, want: 1},
		{name: "direct before relayed", conns: []Conn{{1, in, true}, {2, in, false}}, want: 2},
		{name: "relayed if there is no other", conns: []Conn{{1, in, true}}, want: 1},
		{name: "relayed is not direct", conns: []Conn{{1, in, true}}, direct: true},
		{name: "the newer while the older may be dead", conns: []Conn{{1, in, false}, {2, in, false}}, doubt: []uint64{1}, want: 2},
		{name: "relayed while the direct one may be dead", conns: []Conn{{1, in, false}, {2, in, true}}, doubt: []uint64{1}, want: 2},
		{name: "a dead direct one if it must be direct", conns: []Conn{{1, in, false}, {2, in, true}}, doubt: []uint64{1}, direct: true, want: 1},
		{name: "agreed: dialled by the smaller, who is we", conns: []Conn{{1, in, false}, {2, out, false}}, agreed: true, want: 2},
		{name: "agreed: but not if it is relayed", conns: []Conn{{1, in, false}, {2, out, true}}, agreed: true, want: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := New(Config{Self: small, Peer: large})
			s.Identified(c.agreed)
			for i, conn := range c.conns {
				add(t, s, epoch.Add(time.Duration(i)), conn)
			}
		alive:
			for _, conn := range c.conns {
				for _, d := range c.doubt {
					if conn.ID == d {
						continue alive
					}
				}
				s.Alive(conn.ID)
			}
			got, ok := s.Best(c.direct)
			if got != c.want || ok != (c.want != 0) {
				t.Fatalf("Best = %d, %v; want %d", got, ok, c.want)
			}
		})
	}
}

func TestARestartedPeerIsReachedOnItsNewConnection(t *testing.T) {
	s := New(Config{Self: small, Peer: large})
	add(t, s, epoch, Conn{ID: 1, Outbound: true})
	s.Identified(true)
	now := epoch.Add(time.Hour)
	add(t, s, now, Conn{ID: 2})
	wantEvents(t, "the old connection is probed", s, Probe{ID: 1})
	add(t, s, now, Conn{ID: 3})
	wantEvents(t, "once, and the next in line too", s, Probe{ID: 2})
	s.Alive(2)
	if id, _ := s.Best(false); id != 2 {
		t.Fatalf("streams go to %d", id)
	}
	s.Remove(1) // its session found it dead
	s.HandleTimeout(now.Add(29 * time.Second))
	if s.Len() != 2 {
		t.Fatalf("%d connections are left", s.Len())
	}
}

func TestNothingIsSpareBesideADoubtfulConnection(t *testing.T) {
	s := New(Config{Self: small, Peer: large})
	add(t, s, epoch, Conn{ID: 1}, Conn{ID: 2, Relayed: true})
	s.StreamOpened(2)
	s.StreamEnded(epoch, 2)
	s.find(2).doubt = true // both are in doubt now
	if at, ok := s.Deadline(); ok {
		t.Fatalf("something is closed at %v", at)
	}
	s.Alive(1)
	if at, ok := s.Deadline(); !ok || !at.Equal(epoch.Add(30*time.Second)) {
		t.Fatalf("deadline %v, %v", at, ok)
	}
}

func TestTheNinthConnectionReplacesAQuietOneOrIsRefused(t *testing.T) {
	s := New(Config{Self: small, Peer: large})
	for id := uint64(1); id <= DefaultCap; id++ {
		add(t, s, epoch.Add(time.Duration(id)), Conn{ID: id})
		s.StreamOpened(id)
	}
	if err := s.Add(epoch, Conn{ID: 9}); !errors.Is(err, ErrFull) {
		t.Fatalf("ninth beside eight in use: %v, want %v", err, ErrFull)
	}
	s.StreamEnded(epoch.Add(time.Second), 4)
	s.StreamEnded(epoch.Add(time.Minute), 2)
	events(s)
	add(t, s, epoch.Add(time.Hour), Conn{ID: 9})
	if e, ok := s.Next(); !ok || e.(Close).ID != 4 || e.(Close).Code != CodeSupplanted {
		t.Fatalf("%#v, want connection 4 to be closed, which was quiet for longest", e)
	}
	if s.Len() != DefaultCap {
		t.Fatalf("%d connections", s.Len())
	}
	for i := uint64(10); i < 100*DefaultCap; i++ {
		_ = s.Add(epoch.Add(time.Hour), Conn{ID: i})
		events(s)
	}
	if s.Len() > DefaultCap {
		t.Fatalf("%d connections after a hundred times the cap", s.Len())
	}
}

func TestOpensWaitForTheFirstSessionThatWillDo(t *testing.T) {
	s := New(Config{Self: small, Peer: large})
	for req, direct := range []bool{true, false, false} {
		if _, ok, err := s.Open(Open{Req: uint64(req), Direct: direct}); ok || err != nil {
			t.Fatalf("open %d without a connection: %v, %v", req, ok, err)
		}
	}
	s.Cancel(2)
	add(t, s, epoch, Conn{ID: 7, Relayed: true})
	wantEvents(t, "a relayed session serves who takes one", s, Ready{Req: 1, Conn: 7})
	add(t, s, epoch, Conn{ID: 8})
	wantEvents(t, "the direct one serves the rest", s, Probe{ID: 7}, Ready{Req: 0, Conn: 8})
	if id, ok, err := s.Open(Open{Req: 5}); id != 8 || !ok || err != nil {
		t.Fatalf("open with a connection: %d, %v, %v", id, ok, err)
	}
	if s.Waiting() != 0 {
		t.Fatalf("%d still wait", s.Waiting())
	}
}

func TestWaitingOpensAlwaysGetAnAnswer(t *testing.T) {
	s := New(Config{Self: small, Peer: large})
	for req := range uint64(3) {
		if _, _, err := s.Open(Open{Req: req, Deadline: epoch.Add(time.Duration(3-req) * time.Second)}); err != nil {
			t.Fatal(err)
		}
	}
	if at, ok := s.Deadline(); !ok || !at.Equal(epoch.Add(time.Second)) {
		t.Fatalf("deadline %v, %v", at, ok)
	}
	s.HandleTimeout(epoch.Add(2 * time.Second))
	wantEvents(t, "time is up for two, in order of arrival", s, Failed{1, ErrNoConnection}, Failed{2, ErrNoConnection})
	noRoute := errors.New("no route")
	s.Fail(noRoute)
	wantEvents(t, "the last one learns why there is no connection", s, Failed{0, noRoute})
	if _, ok := s.Deadline(); ok || s.Waiting() != 0 {
		t.Fatal("something is left")
	}
}

func TestWaitingOpensAreBounded(t *testing.T) {
	s := New(Config{Self: small, Peer: large})
	var err error
	for req := range uint64(100 * maxWaiting) {
		if _, _, err = s.Open(Open{Req: req}); err != nil && !errors.Is(err, ErrWaiting) {
			t.Fatal(err)
		}
	}
	if !errors.Is(err, ErrWaiting) || s.Waiting() != maxWaiting {
		t.Fatalf("%d wait, %v", s.Waiting(), err)
	}
}

func TestUnknownConnectionsAreIgnored(t *testing.T) {
	s := New(Config{Self: small, Peer: large})
	add(t, s, epoch, Conn{ID: 1}, Conn{ID: 1})
	s.Remove(9)
	s.Alive(9)
	s.StreamOpened(9)
	s.StreamEnded(epoch, 9)
	s.StreamEnded(epoch, 1)
	s.Cancel(9)
	if s.Len() != 1 || s.find(1).streams != 0 || len(events(s)) != 0 {
		t.Fatal("something changed")
	}
}

func TestBoundsNameTheirAttack(t *testing.T) {
	for _, b := range Bounds() {
		if b.Name == "" || b.Cap <= 0 || b.Attack == "" {
			t.Errorf("incomplete bound %+v", b)
		}
	}
}

// FuzzSet plays any order of events and checks what must always hold.
func FuzzSet(f *testing.F) {
	f.Add([]byte{0, 1, 0, 2, 1, 1, 5, 9, 3, 1, 6, 40, 6, 40, 2, 1})
	f.Add([]byte("connections come and go, streams too"))
	f.Fuzz(func(t *testing.T, ops []byte) {
		s := New(Config{Self: large, Peer: small})
		now := epoch
		live, waiting := map[uint64]bool{}, map[uint64]bool{}
		var req uint64
		for i := 0; i+1 < len(ops); i += 2 {
			arg := ops[i+1]
			id := uint64(arg & 15)
			switch ops[i] % 8 {
			case 0:
				if s.Add(now, Conn{ID: id, Outbound: arg&16 != 0, Relayed: arg&32 != 0}) == nil {
					live[id] = true
				}
			case 1:
				s.Remove(id)
				delete(live, id)
			case 2:
				s.StreamOpened(id)
			case 3:
				s.StreamEnded(now, id)
			case 4:
				s.Alive(id)
			case 5:
				req++
				if _, ok, err := s.Open(Open{Req: req, Direct: arg&1 == 0, Deadline: now.Add(time.Duration(arg) * time.Second)}); !ok && err == nil {
					waiting[req] = true
				}
			case 6:
				now = now.Add(time.Duration(arg) * time.Second)
				s.HandleTimeout(now)
				if at, ok := s.Deadline(); ok && !at.After(now) {
					t.Fatalf("deadline %v is still due at %v", at, now)
				}
			case 7:
				s.Identified(arg&1 == 0)
			}
			for _, e := range events(s) {
				switch e := e.(type) {
				case Close:
					if !live[e.ID] {
						t.Fatalf("closes %d, which is not there", e.ID)
					}
					delete(live, e.ID)
					if s.Len() == 0 {
						t.Fatal("closed the last connection")
					}
				case Ready:
					if !waiting[e.Req] || !live[e.Conn] {
						t.Fatalf("open %d ready on %d", e.Req, e.Conn)
					}
					delete(waiting, e.Req)
				case Failed:
					if !waiting[e.Req] {
						t.Fatalf("open %d fails, it does not wait", e.Req)
					}
					delete(waiting, e.Req)
				}
			}
			if s.Len() != len(live) || s.Len() > DefaultCap || s.Waiting() != len(waiting) {
				t.Fatalf("%d connections, %d waiting; the books say %d, %d", s.Len(), s.Waiting(), len(live), len(waiting))
			}
			if _, ok := s.Best(false); ok != (len(live) > 0) {
				t.Fatalf("Best: %v with %d connections", ok, len(live))
			}
		}
	})
}

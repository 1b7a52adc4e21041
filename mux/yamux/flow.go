package yamux

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// tuneRTTs: a window doubles when half of it was consumed within this many round trips, as
// go-yamux does. Growth stops at eight times the bandwidth-delay product.
const tuneRTTs = 4

// tuneFloor is the least round trip used for that. Below it the time is spent in scheduling,
// and each update costs a wake-up on both ends: wider windows make them rare.
const tuneFloor = time.Millisecond

// credit queues a window update for st when at least half of its window is free to grant.
func (s *Session) credit(st *stream, tune bool) {
	if st.wantCredit || st.remoteClosed {
		return
	}
	if s.room(st) < st.window/2 {
		return
	}
	if tune && s.rtt > 0 {
		if s.now.Sub(st.epoch) < tuneRTTs*max(s.rtt, tuneFloor) {
			s.widen(st, 2*st.window)
		}
		s.refreshRTT()
	}
	st.epoch = s.now
	st.wantCredit = true
	s.controlq.push(st)
}

// widen grows st's window towards want, as far as MaxWindow and the session's budget allow.
func (s *Session) widen(st *stream, want int) {
	grow := min(want, s.cfg.MaxWindow) - st.window
	if room := max(s.windowBudget-s.grown, 0); grow > room {
		s.short = max(s.short, grow-room)
		s.narrow, s.wider = st, want
		grow = room
	}
	if grow <= 0 {
		return
	}
	s.resize(st, st.window+grow)
}

// resize changes st's window.
func (s *Session) resize(st *stream, window int) {
	s.excess -= st.excess()
	s.grown += window - st.window
	st.window = window
	s.excess += st.excess()
}

// excess is what st holds beyond what its window has grown by.
func (st *stream) excess() int { return max(st.held-(st.window-ProtocolWindow), 0) }

// hold books that st holds n bytes more, or, below 0, less.
func (s *Session) hold(st *stream, n int) {
	if n < 0 || st.held == 0 {
		s.moves++
		st.moved, st.since = s.moves, s.now
	}
	s.excess -= st.excess()
	st.held += n
	s.held += n
	s.excess += st.excess()
}

// takeCredit grants what is free of st's window and returns it for the frame that tells it.
func (s *Session) takeCredit(st *stream) uint32 {
	st.wantCredit = false
	if st.remoteClosed {
		return 0
	}
	delta := max(s.room(st), 0)
	st.grant += uint32(delta)
	return uint32(delta)
}

// room is what could be granted of st's window: what is neither granted, nor held by the
// application, nor part of a frame whose body is still arriving.
func (s *Session) room(st *stream) int {
	room := st.window - st.held - int(st.grant)
	if s.body.st == st {
		room -= int(s.body.left)
	}
	return room
}

// SetWindowBudget changes the bytes by which the session's receive windows may grow in sum; a
// node with many connections shares its memory out with it. The window that the old budget cut
// last grows at once with a larger one. Windows shrink by Narrow alone.
func (s *Session) SetWindowBudget(bytes int) {
	s.windowBudget = max(bytes, 0)
	if st := s.narrow; st != nil && s.windowBudget > s.grown {
		s.narrow = nil
		s.widen(st, s.wider)
	}
}

// WindowShortage is how many bytes the widest growth lacked that the budget has cut since the
// last call.
func (s *Session) WindowShortage() int {
	n := s.short
	s.short = 0
	return n
}

// Consumed says that the application is done with n bytes of the Data events of a stream.
// Credit flows back to the remote and the window tunes itself. Unknown streams are ignored:
// the last bytes of a stream are often consumed after its end.
func (s *Session) Consumed(now time.Time, id uint32, n int) {
	s.now = now
	st := s.streams[id]
	if st == nil || n <= 0 {
		return
	}
	s.hold(st, -min(n, st.held))
	s.credit(st, true)
}

// Usage is the memory that the session has to have, in bytes: for each stream what its window has
// grown by, since that was promised, or what it holds, if that is more.
func (s *Session) Usage() int { return s.grown + s.excess }

// Held is what the streams hold.
func (s *Session) Held() int { return s.held }

// Grown is what their receive windows have grown by.
func (s *Session) Grown() int { return s.grown }

// Narrow takes back n bytes, or a little more, of what windows have grown by, from each the same
// part. What is granted stays granted: there is no credit for a stream until its remote has used up
// what it has. Usage becomes less as far as streams do not hold it.
func (s *Session) Narrow(n int) {
	if n <= 0 || s.grown == 0 {
		return
	}
	part := min(float64(n)/float64(s.grown), 1)
	for _, st := range s.streams { // order-free: what each gives depends on nothing else
		grown := st.window - ProtocolWindow
		s.resize(st, st.window-min(int(math.Ceil(float64(grown)*part)), grown))
	}
}

// Unread lists the streams that hold bytes, the one that has consumed none for longest first.
func (s *Session) Unread() []uint32 {
	all := s.unread()
	ids := make([]uint32, len(all))
	for i, st := range all {
		ids[i] = st.id
	}
	return ids
}

// UnreadSince is since when half of the bytes that are held have been in streams which consumed
// nothing; now if none are held.
func (s *Session) UnreadSince(now time.Time) time.Time {
	n := 0
	for _, st := range s.unread() {
		if n += st.held; 2*n >= s.held {
			return st.since
		}
	}
	return now
}

func (s *Session) unread() []*stream {
	var all []*stream
	for _, st := range s.streams { // order-free: sorted below
		if st.held > 0 {
			all = append(all, st)
		}
	}
	slices.SortFunc(all, func(a, b *stream) int { return cmp.Compare(a.moved, b.moved) })
	return all
}

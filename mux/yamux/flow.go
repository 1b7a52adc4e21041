package yamux

import "time"

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
		grow = room
	}
	if grow <= 0 {
		return
	}
	st.window += grow
	s.grown += grow
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
// node with many connections shares its memory out with it. Windows never shrink.
func (s *Session) SetWindowBudget(bytes int) { s.windowBudget = max(bytes, 0) }

// WindowShortage is how many bytes the widest growth lacked that the budget has cut since the
// last call. With a larger budget the window grows with its stream's next credit.
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
	n = min(n, st.held)
	st.held -= n
	s.held -= n
	s.credit(st, true)
}

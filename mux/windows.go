package mux

import (
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/bound"
	"github.com/troupe-p2p/troupe/mux/yamux"
)

const (
	// freeBytes is what the streams of one connection may hold together, unread, before it
	// needs a part of the node's memory: the window that the protocol gives its first stream.
	// So a connection that keeps to one stream fails because of nobody else.
	freeBytes = yamux.ProtocolWindow
	// memoryStep is the size of the pieces in which a session takes its part of what all
	// sessions of the node may have: no turn that stays within one looks at the node's books.
	memoryStep = 64 << 10
	// memorySpare is how much a session keeps that it does not need just now.
	memorySpare = 8 * memoryStep
	// askAgain is the least time between two looks at all streams for how long they have stood
	// unread.
	askAgain = 10 * time.Millisecond
)

// Bounds lists what a remote can fill in one session beside its muxer.
func Bounds() []bound.Bound {
	return []bound.Bound{
		{Name: "mux: bytes unread on one connection that are not counted", Cap: freeBytes,
			Attack: "a little on each of very many connections"},
	}
}

// windows shares a node's memory for received bytes among its sessions: what is promised by
// receive windows that have grown, and what is held unread beyond that.
type windows struct {
	core   *yamux.Session
	holder *actors.Holder // nil: there is no bound but the session's own
	most   int            // that one session's windows may grow by
	taken  int            // of the node's memory, less what others have claimed since
	kept   int            // unread bytes of streams that the core has forgotten
	read   int            // bytes consumed since the node was last told of use
	stood  time.Time      // what unreadSince has found
	asked  time.Time      // when
}

func newWindows(core *yamux.Session, cfg yamux.Config, holder *actors.Holder) windows {
	w := windows{core: core, holder: holder, most: cfg.WindowBudget}
	if w.most == 0 {
		w.most = yamux.DefaultWindowBudget
	}
	if holder != nil {
		core.SetWindowBudget(0)
	}
	return w
}

// owed is what the session holds unread that is not free.
func (w *windows) owed() int { return max(w.core.Held()+w.kept-freeBytes, 0) }

// need is what the session has a use for: what its windows have grown by, and what is held beyond
// that and is not free. It is never less than what the session owes.
func (w *windows) need() int {
	grown := w.core.Grown()
	return grown + max(w.core.Usage()-grown+w.kept-freeBytes, 0)
}

// have is the memory that the session has now.
func (w *windows) have(n int64) {
	w.taken = int(n)
	w.core.SetWindowBudget(min(w.core.Grown()+w.taken-w.need(), w.most))
}

// steps rounds up.
func steps(n int) int64 { return int64((max(n, 0) + memoryStep - 1) / memoryStep * memoryStep) }

// takeMore follows whatever may have asked for a wider window, which it gets at once: memory that
// nothing has a use for is given back again. What is refused is asked for with the stream's next
// credit.
func (w *windows) takeMore() {
	if w.holder == nil {
		return
	}
	short := w.core.WindowShortage()
	if short == 0 {
		return
	}
	want := w.need() + min(short, w.most-w.core.Grown())
	w.have(w.holder.Hold(max(steps(want), int64(w.taken))))
}

// inUse follows the consumption of n bytes: what the session has is of use as long as half of it is
// read again and again, whether or not it ever has to ask for more. Less does not count, or one byte
// now and then would keep a window wide that others need. Nor does it if half of what the session has
// is bytes that stand beside it.
func (w *windows) inUse(now time.Time, n int) {
	w.read += n
	if w.taken == 0 || w.read < w.taken/2 {
		return
	}
	w.read = 0
	if w.owed() < w.taken/2 {
		w.holder.Stood(now)
	} else {
		w.holder.Stood(w.unreadSince(now))
	}
}

// short says that the session owes more memory than it is to have, so that a stream has to go; with
// room above 0, that it owes more than would leave so much of what it has. First everything else is
// tried: what is free, then its own promises, then what others have.
func (w *windows) short(now time.Time, room int) bool {
	if w.holder == nil {
		return false
	}
	if room > 0 {
		return w.core.Held()+w.kept-freeBytes > w.taken-room
	}
	need := w.need()
	if need <= w.taken {
		if w.taken-need > memorySpare {
			w.have(w.holder.Hold(steps(need) + memorySpare/2))
		}
		return false
	}
	w.have(w.holder.Hold(steps(need)))
	if need > w.taken {
		w.core.Narrow(need - w.taken + memoryStep)
		if w.need() > w.taken {
			w.core.Narrow(w.core.Grown())
		}
	}
	if w.owed() > w.taken {
		w.have(w.holder.Claim(steps(w.owed()), now, w.unreadSince(now)))
	}
	return w.owed() > w.taken && !w.holder.Closed() // else the session is about to be stopped
}

// unreadSince asks the core, which looks at every stream, but not for each byte. If most is of
// streams that are over, nothing more is known of it than that it is old.
func (w *windows) unreadSince(now time.Time) time.Time {
	if now.Sub(w.asked) >= askAgain {
		w.stood, w.asked = w.core.UnreadSince(now), now
		if w.kept > w.core.Held() {
			w.stood = time.Time{}
		}
	}
	return w.stood
}

// robbed tells a session that another one has claimed a part of its memory.
type robbed struct{}

func (w *windows) watch(ref actors.Ref[any]) {
	if w.holder != nil {
		w.holder.OnLoss(func() { _ = ref.Control(robbed{}) })
	}
}

// look finds out what has been left.
func (w *windows) look() { w.have(w.holder.Hold(int64(w.taken))) }

// keep books n bytes more that are unread of streams which the core has forgotten; less below 0.
func (w *windows) keep(n int) { w.kept += n }

// scarce is why a stream has to go.
func (w *windows) scarce() error { return w.holder.Why() }

// giveBack returns what the session does not use. One that has ended still has what its handlers
// have not read.
func (w *windows) giveBack() {
	if w.taken > 0 && w.core.Err() == nil {
		w.have(w.holder.Hold(min(steps(w.need()), int64(w.taken))))
	}
}

func (w *windows) returnAll() {
	if w.taken > 0 {
		w.holder.Hold(0)
		w.taken = 0
	}
}

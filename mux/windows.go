package mux

import (
	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/mux/yamux"
)

// windowStep is the size of the pieces in which a session takes its part of what all sessions of
// the node may have of receive windows beyond the protocol's first.
const windowStep = 1 << 20

// windows shares a node's memory for receive windows among its sessions.
type windows struct {
	core   *yamux.Session
	holder *actors.Holder // nil: there is no bound but the session's own
	most   int            // that one session may have
	taken  int
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

// takeMore follows whatever may have asked for a wider window. What is refused is asked for again
// with the stream's next credit.
func (w *windows) takeMore() {
	if w.holder == nil {
		return
	}
	short := w.core.WindowShortage()
	if short == 0 {
		return
	}
	for want := min(w.taken+short, w.most); w.taken < want && w.holder.Take(windowStep); {
		w.taken += windowStep
	}
	w.core.SetWindowBudget(min(w.taken, w.most))
}

// giveBack returns what no window uses.
func (w *windows) giveBack() {
	if w.taken == 0 {
		return
	}
	used := (w.core.Stats().Grown + windowStep - 1) / windowStep * windowStep
	if w.taken > used {
		w.holder.Give(int64(w.taken - used))
		w.taken = used
		w.core.SetWindowBudget(min(w.taken, w.most))
	}
}

func (w *windows) returnAll() {
	if w.taken > 0 {
		w.holder.Give(int64(w.taken))
		w.taken = 0
	}
}

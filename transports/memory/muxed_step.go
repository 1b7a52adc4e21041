package memory

import (
	"slices"

	"github.com/troupe-p2p/troupe/actors"
)

// panicCode is what the remote sees of a stream or conduit whose owner panicked here. Whoever
// wants to tell it more catches the panic before it comes to this.
const panicCode = 0

// due is called with mu held.
func (e *muxedEnd) due() bool {
	if len(e.busy) > 0 {
		return true
	}
	if e.sink == nil {
		return false
	}
	return len(e.arrived) > 0 || e.canOpen || e.over != nil && !e.told
}

// post is called with mu held after everything that may make a step due.
func (e *muxedEnd) post() {
	if !e.posted && e.due() {
		e.posted = true
		e.t.ex.Post(e)
	}
}

// Step implements Step. Streams take turns with each other and, all together, with what is new;
// the end of the conduit comes behind everything else.
func (e *muxedEnd) Step() {
	e.mu.Lock()
	e.turn = !e.turn
	switch {
	case len(e.busy) > 0 && (e.turn || e.sink == nil):
		e.stepStream()
	case len(e.arrived) > 0 && e.sink != nil:
		s := e.arrived[0]
		e.arrived = slices.Delete(e.arrived, 0, 1)
		s.fresh = false
		sink := e.sink
		e.mu.Unlock()
		sink.Accepted(s)
		e.mu.Lock()
	case e.canOpen && e.sink != nil:
		e.canOpen = false
		sink := e.sink
		e.mu.Unlock()
		sink.CanOpen()
		e.mu.Lock()
	case len(e.busy) > 0:
		e.stepStream()
	case e.over != nil && !e.told && e.sink != nil:
		e.told = true
		sink, how := e.sink, e.over
		e.mu.Unlock()
		sink.Ended(how.code, how.remote, how.err)
		e.mu.Lock()
	}
	e.posted = false
	e.post()
	e.mu.Unlock()
}

// stepStream is called with mu held, and gives it up while a sink is called.
func (e *muxedEnd) stepStream() {
	s := e.busy[0]
	e.busy[0] = nil
	e.busy = e.busy[1:]
	s.queued = false
	sink, tell := s.sink, s.nextEvent()
	if tell == nil {
		return
	}
	e.cur = s
	e.mu.Unlock()
	tell.tell(sink)
	e.mu.Lock()
	e.cur = nil
	s.wake()
}

// Failed implements Step: a sink panicked. A stream's costs the stream.
func (e *muxedEnd) Failed(pe *actors.PanicError) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if s := e.cur; s != nil {
		e.cur = nil
		if !s.gone {
			s.peer.lose(panicCode, true, &CodeError{Transport: name, Code: panicCode, Remote: true, Op: "stream reset"})
			s.lose(panicCode, false, pe)
		}
	} else {
		e.close(panicCode, "", pe)
	}
	e.posted = false
	e.post()
}

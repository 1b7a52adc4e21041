package simnet

import (
	"syscall"
	"time"

	"github.com/troupe-p2p/troupe/internal/buf"
)

// flow is what one end of a stream sends, in order. The head of its queue is the only segment that
// has an event; the others arrive behind it.
type flow struct {
	s       *stream
	q       []segment
	head    int
	stop    func() // of the head's event; nil: none
	onDue   func()
	window  int
	sent    int64
	acked   int64
	severed bool // by a fault: nothing more gets onto the wire
	orphan  bool // its kernel has forgotten the stream: nothing is sent again

	probing bool // the window was full
	probe   time.Duration
	mute    time.Time // since then nobody answers

	since   time.Time // bytes have arrived, and the acknowledgement cannot come back
	ackWait time.Duration
	ackStop func()
}

// segment is one packet of a stream.
type segment struct {
	kind Kind
	off  int64
	b    *buf.Buf
	w    wire
	at   time.Time     // first sent
	left time.Time     // the try that arrives has left the sender by then
	due  time.Time     // arrives
	wait time.Duration // before the next try; 0: this is the first
	late bool          // no try came through in time
}

// taker is who may have a call to a sink to make.
type taker interface {
	// turn makes one call, and posts the next.
	turn()
	// post makes sure that a turn comes.
	post()
}

// room is how many bytes the window lets be sent now.
func (f *flow) room() int { return max(0, f.window-int(f.sent-f.acked)) }

// add sends a segment.
func (f *flow) add(kind Kind, p []byte) {
	n, s, now := f.s.n, f.s, f.s.n.now()
	switch {
	case f.severed:
		f.sent += int64(len(p))
		return
	case kind == Data && f.join(p, now):
		return
	}
	g := segment{kind: kind, off: f.sent, at: now, left: now, due: now.Add(minRTO)}
	g.w, _ = n.route(s.h, tcpProto, s.local, s.remote) // without a way it is lost
	v := n.judge(kind, s.h, g.w, s.num, f.sent, p)
	f.sent += int64(len(p))
	if v.reset {
		f.severed = true
		f.interrupt()
		n.soon(s.reset)
		return
	}
	if g.w.to != nil && !f.travel(&g, len(p), v) {
		return // a reset is not sent again
	}
	if len(p) > 0 {
		g.b = buf.Copy(p)
	}
	g.due = g.due.Add(v.delay)
	f.q = append(f.q, g)
	f.arm()
}

// travel gives g its times: those of the first try that is not lost.
func (f *flow) travel(g *segment, size int, v verdict) bool {
	n := f.s.n
	p := n.path(f.s.h, g.w.to)
	g.left, g.due = p.send(size)
	lost := v.drop || p.lost()
	for wait := p.rto(); lost; wait = backoff(wait) {
		if g.kind == Reset {
			return false
		}
		g.left, g.due = g.left.Add(wait), g.due.Add(wait)
		if g.left.Sub(g.at) >= n.StreamTimeout {
			g.left, g.due, g.late = g.at.Add(n.StreamTimeout), g.at.Add(n.StreamTimeout), true
			break
		}
		lost = p.lost()
	}
	return true
}

// join puts p into the last segment, if that was sent at this instant and nobody is there to see
// the difference.
func (f *flow) join(p []byte, now time.Time) bool {
	if f.head == len(f.q) || len(f.s.n.rules) > 0 {
		return false
	}
	g := &f.q[len(f.q)-1]
	if g.kind != Data || !g.at.Equal(now) || g.wait > 0 || g.w.to == nil || len(g.b.B)+len(p) > min(g.b.Cap(), maxSegment) ||
		f.s.n.path(f.s.h, g.w.to).link().Bandwidth > 0 {
		return false
	}
	g.b.Append(p)
	f.sent += int64(len(p))
	return true
}

// arm sees to it that the head has an event.
func (f *flow) arm() {
	if f.stop == nil && f.head < len(f.q) {
		f.stop = f.s.n.s.At(f.q[f.head].due, f.onDue)
	}
}

// arrive is the head's event. All that is due arrives in this turn; one receiver is told in it.
func (f *flow) arrive() {
	f.stop = nil
	now := f.s.n.now()
	var first taker
	for f.head < len(f.q) && !f.q[f.head].due.After(now) {
		switch t := f.deliver(&f.q[f.head]); {
		case t == nil || t == first:
		case first == nil:
			first = t
		default:
			t.post()
		}
	}
	f.arm()
	if f.head == len(f.q) {
		f.s.delivered()
	}
	if first != nil {
		first.turn()
	}
}

// deliver takes the head off the queue, gives it a later try, or drops the queue.
func (f *flow) deliver(g *segment) taker {
	n, s := f.s.n, f.s
	if g.wait > 0 {
		g.w, _ = n.route(s.h, tcpProto, s.local, s.remote)
	}
	to, dst, ok := n.arrive(s.h, tcpProto, g.w)
	switch {
	case g.late:
		s.timedOut()
		return nil
	case !ok:
		f.again(g)
		return nil
	}
	r := to.streams[pair{dst, g.w.src}]
	if r == nil || r.peer != s || s.peer != r {
		f.drop()
		if g.kind != Reset {
			n.sendReset(to, dst, g.w.src, s)
		}
		return nil
	}
	x := *g
	*g = segment{}
	if f.head++; f.head == len(f.q) {
		f.q, f.head = idle(f.q), 0
	}
	if to.gate != nil { // the acknowledgement keeps the way open
		_, _ = n.route(to, tcpProto, dst, x.w.src)
	}
	if n.path(to, s.h).blocked() && x.kind != Reset {
		f.unacked(x.at)
	}
	return r.receive(&x)
}

// again gives the head another try.
func (f *flow) again(g *segment) {
	n := f.s.n
	now, end := n.now(), g.at.Add(n.StreamTimeout)
	switch {
	case f.orphan || g.kind == Reset: // nothing may be sent again
		f.drop()
		return
	case !now.Before(end):
		f.s.timedOut()
		return
	case g.wait > 0:
		g.wait = backoff(g.wait)
	case g.w.to != nil:
		g.wait = n.path(f.s.h, g.w.to).rto()
	default:
		g.wait = minRTO
	}
	if g.due = now.Add(g.wait); g.due.After(end) {
		g.due = end
	}
}

// unacked notes that what was sent at since has arrived but that its acknowledgement is lost. If
// that stays so, the stream breaks.
func (f *flow) unacked(since time.Time) {
	if f.ackStop != nil || f.orphan {
		return
	}
	f.since, f.ackWait = since, minRTO
	f.ackStop = f.s.n.after(f.ackWait, f.lookBack)
}

func (f *flow) lookBack() {
	f.ackStop = nil
	n, s := f.s.n, f.s
	now, end := n.now(), f.since.Add(n.StreamTimeout)
	switch {
	case s.state == gone || !n.path(s.peer.h, s.h).blocked():
	case !now.Before(end):
		s.timedOut()
	default:
		f.ackWait = backoff(f.ackWait)
		f.ackStop = n.after(min(f.ackWait, end.Sub(now)), f.lookBack)
	}
}

// drop ends the flow: nothing of it arrives any more.
func (f *flow) drop() {
	for _, g := range f.q[f.head:] {
		if g.b != nil {
			g.b.Release()
		}
	}
	f.q, f.head = nil, 0
	f.rest()
}

// rest stops the flow's events.
func (f *flow) rest() {
	for _, stop := range []*func(){&f.stop, &f.ackStop} {
		if *stop != nil {
			(*stop)()
			*stop = nil
		}
	}
}

// reset is for a kernel that forgets the stream: what is under way still arrives, and a Reset
// behind it.
func (f *flow) reset() {
	if f.head < len(f.q) && f.q[f.head].wait > 0 { // the head was lost, and the rest is of no use
		f.drop()
		f.interrupt()
	} else {
		f.add(Reset, nil)
	}
	f.forgotten()
}

// interrupt sends a Reset ahead of what is under way.
func (f *flow) interrupt() {
	s := f.s
	_ = s.n.launch(&packet{kind: Reset, from: s.h, num: s.num, of: s.peer}, tcpProto, s.local, s.remote)
}

func (f *flow) forgotten() {
	f.orphan = true
	if f.ackStop != nil {
		f.ackStop()
		f.ackStop = nil
	}
}

// unplug is for a machine that goes dark: what has left still arrives, the rest never does.
func (f *flow) unplug() {
	f.forgotten()
	now := f.s.n.now()
	for i := f.head; i < len(f.q); i++ {
		if g := &f.q[i]; g.left.After(now) || g.wait > 0 {
			tail := flow{q: f.q[i:]}
			tail.drop()
			f.q = f.q[:i:i]
			break
		}
	}
	if f.head == len(f.q) {
		f.drop()
	}
}

// full is called when the window is. The sender then asks the receiver from time to time (RFC 9293,
// section 3.8.6.1), since the news of an open window may have been lost, or the receiver gone.
func (f *flow) full() {
	if !f.probing {
		f.probing, f.mute, f.probe = true, time.Time{}, minRTO
		f.s.n.after(f.probe, f.ask)
	}
}

// maxProbe is the longest wait between two questions to a receiver that answers.
const maxProbe = 30 * time.Second

func (f *flow) ask() {
	n, s := f.s.n, f.s
	f.probing = false
	if s.state != open || s.closed || f.room() > 0 {
		return
	}
	now, back := n.now(), n.path(s.peer.h, s.h)
	f.probe = min(2*f.probe, maxProbe)
	switch {
	case n.path(s.h, s.peer.h).blocked() || back.blocked():
		f.probe = min(f.probe, maxRTO)
		if f.mute.IsZero() {
			f.mute = now
		} else if now.Sub(f.mute) >= n.StreamTimeout {
			s.timedOut()
			return
		}
	case s.peer.state == gone:
		n.after(back.travel(), s.reset)
		return
	default:
		f.mute = time.Time{}
		if used := s.peer.used; used > f.acked {
			n.after(back.travel(), func() { s.acknowledged(used) })
		}
	}
	f.probing = true
	n.after(f.probe, f.ask)
}

var errTimedOut error = syscall.ETIMEDOUT

package sockets

import (
	"errors"
	"io"
	"net"
	"runtime/debug"
	"sync"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// ErrRemoteClosed is what a write answers after the remote's end of both directions.
var ErrRemoteClosed = errors.New("the remote has closed the connection")

// Line is what an Owner reads from.
type Line interface {
	// Next waits for bytes and returns at most size of them. The error is for the sink.
	Next(size int) (*buf.Buf, error)
	// Why says of err, in terms of the line, what could not be done.
	Why(op string, err error) error
	// Label is the name of a goroutine as the runtime shows it.
	Label(what string) string
	Close() error
}

// Owner is the side of a Raw conduit that its owner sees: whoever bound a Sink last. It has the sink's
// credits, its turns, the Drain that is under way and the end.
//
//	read    pump: wait for a credit -> Line.Next -> Sink.Offer
//	poll    anybody: read without waiting -> Sink.Offer, while the pump waits
//
// What a Sink can rely on, beside the contract of package conduit:
//
//   - Its methods run one at a time, whichever goroutine they come from.
//   - No Offer begins after Close has returned, but for one that was on its way already when
//     Close was called on another goroutine.
//   - Each Drain is answered by one Drained, also after Close.
//   - Each Bind is answered by one Ended once nothing more comes, even if the connection had
//     ended before the Bind: an owner that takes a dead connection over learns of it.
type Owner struct {
	rt     *actors.Runtime
	line   Line
	most   int    // bytes of one read
	whole  bool   // the remote ends both directions at once
	polled polled // nil: the line can only be waited for
	rests  bool   // a reader that has nothing to do makes room for another

	// deliver is held while a method of the sink runs, so that reader, drainer and whoever polls take turns.
	// Nothing that a sink may call takes it.
	deliver sync.Mutex

	mu       sync.Mutex
	wake     sync.Cond // of mu: credits were granted, or the conduit was closed
	sink     conduit.Sink
	leader   conduit.Leader // the same, if it is one
	credits  int
	why      error // set with over
	reading  bool  // the reader was started
	over     bool  // the reader has ended
	told     bool  // the present sink knows
	draining bool
	drain    int // number of the present or last Drain
	closed   bool
	bug      *actors.PanicError // of the sink or of us: the better reason for the end
}

// Init has reads of at most most bytes. whole says that io.EOF of the line is the end of writing too.
func (o *Owner) Init(rt *actors.Runtime, line Line, most int, whole bool) {
	o.rt, o.line, o.most, o.whole = rt, line, most, whole
	o.wake.L = &o.mu
}

// Bind is that of conduit.Raw.
func (o *Owner) Bind(s conduit.Sink, credits int) {
	o.mu.Lock()
	o.sink, o.credits, o.told = s, max(credits, 1), false
	o.leader, _ = s.(conduit.Leader)
	start, late := !o.reading, o.over
	o.reading = true
	o.mu.Unlock()
	o.wake.Signal()
	switch {
	case start && o.rests:
		o.rt.ErrandLender(o.line.Label("read"), o.read, o.readerFailed)
	case start:
		o.start()
	case late:
		o.rt.Pump(o.line.Label("end"), o.tell, ignore)
	}
}

// More is that of conduit.Raw.
func (o *Owner) More() {
	o.mu.Lock()
	o.credits++
	o.mu.Unlock()
	o.wake.Signal()
}

func (o *Owner) start() { o.rt.PumpLender(o.line.Label("read"), o.read, o.readerFailed) }

// errRest of a Line has a reader on a fresh goroutine take over.
var errRest = errors.New("a rest")

// read is the reader's pump. It lends its goroutine to what an offer has left.
func (o *Owner) read(l *actors.Lender) {
	s := NewSizer(o.most)
	for o.credit() {
		b, err := o.line.Next(s.Size)
		if errors.Is(err, errRest) {
			o.start()
			return
		}
		if err != nil {
			o.finish(err)
			return
		}
		s.Took(len(b.B))
		if !l.Run(o.give(b)) {
			return
		}
	}
	o.finish(o.line.Why("read from", net.ErrClosed))
}

// credit waits until the sink takes a buffer; false when the conduit was closed.
func (o *Owner) credit() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.credits <= 0 && !o.closed {
		o.wake.Wait()
	}
	return !o.closed
}

// give offers what the reader has read.
func (o *Owner) give(b *buf.Buf) conduit.Rest {
	if o.polled != nil {
		defer o.polled.offered()
	}
	o.deliver.Lock()
	defer o.deliver.Unlock()
	s, leader := o.take(b)
	switch {
	case leader != nil:
		return leader.Lead(b)
	case s != nil:
		s.Offer(b)
	}
	return nil
}

// mayPoll implements polling: the reader waits with a credit, which is not to be taken from it.
func (o *Owner) mayPoll() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.credits > 1 && !o.closed && !o.over
}

// Poll is that of conduit.Poller. A panic of the sink is the conduit's end, as in the reader.
func (o *Owner) Poll() bool {
	if o.polled == nil {
		return false
	}
	clean := false
	defer func() {
		if !clean {
			o.Failed(&actors.PanicError{
				Path: o.line.Label("poll"), Value: recover(), Message: "poll", At: o.rt.Now(), Stack: debug.Stack(),
			})
		}
	}()
	some := o.polled.take(o)
	clean = true
	return some
}

func (o *Owner) offer(b *buf.Buf) {
	o.deliver.Lock()
	defer o.deliver.Unlock()
	if s, _ := o.take(b); s != nil {
		s.Offer(b)
	}
}

// take says who is to be offered b, for a credit. After Close nobody is, and b is released.
func (o *Owner) take(b *buf.Buf) (conduit.Sink, conduit.Leader) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		b.Release()
		return nil, nil
	}
	o.credits--
	return o.sink, o.leader
}

// finish notes that nothing more will be read.
func (o *Owner) finish(why error) {
	o.mu.Lock()
	if o.bug != nil {
		why = o.bug
	}
	o.over, o.why = true, why
	o.mu.Unlock()
	o.tell()
}

// tell lets the present sink know of the end, once.
func (o *Owner) tell() {
	o.deliver.Lock()
	defer o.deliver.Unlock()
	o.mu.Lock()
	told, s, why := o.told, o.sink, o.why
	o.told = true
	o.mu.Unlock()
	if !told {
		s.Ended(why)
	}
}

// Failed contains a panic: of the sink, for the most part, on what the remote sent.
func (o *Owner) Failed(pe *actors.PanicError) {
	o.mu.Lock()
	if o.bug == nil {
		o.bug = pe
	}
	o.mu.Unlock()
	_ = o.line.Close()
}

// readerFailed takes the place of a reader that panicked.
func (o *Owner) readerFailed(pe *actors.PanicError) {
	o.Failed(pe)
	o.rt.Pump(o.line.Label("end"), func() { o.finish(pe) }, ignore)
}

// Writable is why nothing can be written, as far as that is known without trying. To ask during a
// Drain is a bug.
func (o *Owner) Writable() error {
	o.mu.Lock()
	draining, err := o.draining, o.dead()
	o.mu.Unlock()
	if draining {
		panic(o.line.Label("TryWrite during a Drain to"))
	}
	return err
}

// dead is called with mu held. A kernel reports a reset once, and the reader may have been the one to
// hear of it.
func (o *Owner) dead() error {
	switch {
	case o.closed:
		return o.line.Why("write to", net.ErrClosed)
	case !o.over:
		return nil
	case !errors.Is(o.why, io.EOF):
		return o.why
	case o.whole:
		return o.line.Why("write to", ErrRemoteClosed)
	}
	return nil
}

// Dead is Writable for who drains.
func (o *Owner) Dead() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.dead()
}

// Drain begins one. There must be a sink to tell, and no other Drain.
func (o *Owner) Drain() (id int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.sink == nil:
		panic(o.line.Label("Drain before Bind to"))
	case o.draining:
		panic(o.line.Label("Drain during a Drain to"))
	}
	o.draining = true
	o.drain++
	return o.drain
}

// Draining says that a Drain has no answer yet.
func (o *Owner) Draining() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.draining
}

// Drained answers a Drain, unless that has happened.
func (o *Owner) Drained(id int, err error) bool {
	o.deliver.Lock()
	defer o.deliver.Unlock()
	o.mu.Lock()
	if !o.draining || o.drain != id {
		o.mu.Unlock()
		return false
	}
	o.draining = false // the sink may write again in Drained
	s := o.sink
	o.mu.Unlock()
	s.Drained(err)
	return true
}

// DrainedLater answers a Drain on a goroutine that may wait for the sink's turn.
func (o *Owner) DrainedLater(id int, err error) {
	o.rt.Pump(o.line.Label("drain"), func() { o.Drained(id, err) }, ignore)
}

// Shut ends the reading and says whether the conduit was open.
func (o *Owner) Shut() bool {
	o.mu.Lock()
	open := !o.closed
	o.closed = true
	o.mu.Unlock()
	if open {
		o.wake.Signal()
	}
	return open
}

// Closed says that Shut was called.
func (o *Owner) Closed() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.closed
}

// done says that the reader brings nothing more.
func (o *Owner) done() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.closed || o.over
}

package troupe_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/protocols/echo"
)

// What streams hold that nobody reads is bounded for the whole node, whoever fills them.

// deafNode is a node whose handlers, an actor and a function, take what comes and read none of it.
type deafNode struct {
	*troupe.System
	t     *testing.T
	ended chan error // why handlers have seen their streams end, but for resets of the remote's
	most  atomic.Int64
}

const deafActor, deafFunction = "/deaf/actor", "/deaf/function"

func newDeafNode(t *testing.T, edit func(*troupe.Limits)) *deafNode {
	d := &deafNode{System: newNode(t, limited(edit)), t: t, ended: make(chan error, 4096)}
	tell := func(err error) {
		var e *troupe.Error
		if err != nil && (!errors.As(err, &e) || e.Origin != troupe.OriginRemote) {
			d.ended <- err
		}
	}
	register(t, d.System, deafActor, troupe.ActorHandler(func() actor.Actor {
		var held *troupe.StreamData
		return receiver(func(ctx actor.Context) {
			switch m := ctx.Message().(type) {
			case *troupe.StreamData:
				m.Hold()
				held = m
			case *troupe.StreamEnded:
				held.Release()
				tell(m.Err)
			}
		})
	}))
	register(t, d.System, deafFunction, troupe.StreamHandler(func(ctx context.Context, s *troupe.Stream) {
		<-ctx.Done()
		_, err := s.Read(make([]byte, 1))
		tell(err)
	}))
	register(t, d.System, echo.Protocol, echo.Handler())
	return d
}

type receiver func(actor.Context)

func (r receiver) Receive(ctx actor.Context) { r(ctx) }

// used is what is in use of BufferBytes.
func (d *deafNode) used() int64 {
	for _, u := range d.Usage() {
		if u.Limit == "BufferBytes" {
			return u.Used
		}
	}
	panic("there is no BufferBytes")
}

// watch looks at what is in use until stop.
func (d *deafNode) watch() (stop func()) {
	over, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-over:
				d.most.Store(max(d.most.Load(), d.used()))
				return
			default:
				d.most.Store(max(d.most.Load(), d.used()))
				pause()
			}
		}
	}()
	return func() { close(over); <-done }
}

// crowd is peers with streams to a deaf node.
type crowd struct {
	peers   []*troupe.System
	streams [][]*troupe.Stream
}

// newCrowd makes peers with so many streams, which have been served.
func newCrowd(d *deafNode, peers, each int) *crowd {
	c := &crowd{}
	for range peers {
		n := newNode(d.t)
		connect(d.t, n, d.System)
		var ss []*troupe.Stream
		for i := range each {
			s := open(d.t, n, d.ID(), []string{deafActor, deafFunction}[i%2])
			if _, err := s.Write([]byte{0}); err != nil {
				d.t.Fatal(err)
			}
			ss = append(ss, s)
		}
		c.peers, c.streams = append(c.peers, n), append(c.streams, ss)
	}
	until(d.t, "all streams are served", func() bool { return streams(d.System) >= peers*each })
	return c
}

// push writes to every stream until its window is full, from all peers at once, and returns how many
// were reset. When it returns the node has seen all of it.
func (c *crowd) push(d *deafNode) (resets int64) {
	const window = 256 << 10
	var all sync.WaitGroup
	for i, p := range c.peers {
		all.Go(func() {
			body := make([]byte, 64<<10)
			for _, s := range c.streams[i] {
				for left := window - 1; left > 0; {
					k, err := s.Write(body[:min(left, len(body))])
					if left -= k; err != nil {
						break
					}
				}
			}
			// Behind the last byte on the same connection.
			if err := echoes(bounded(d.t), p, d.System, "through"); err != nil {
				d.t.Error(err)
			}
		})
	}
	all.Wait()
	return c.resets(d)
}

// resets counts the streams that the node has reset by now, for whichever peer's sake.
func (c *crowd) resets(d *deafNode) (n int64) {
	for i, p := range c.peers {
		// What comes back came behind the resets.
		if err := echoes(bounded(d.t), p, d.System, "counted"); err != nil {
			d.t.Error(err)
		}
		for _, s := range c.streams[i] {
			if s.Err() != nil {
				n++
			}
		}
	}
	return n
}

func heapInUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // and what pools have kept over the first one
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// flow echoes bytes over one stream until stop, which returns how many there were. sent is how many by now.
func flow(t *testing.T, from, to *troupe.System) (sent *atomic.Int64, stop func() (int64, error)) {
	s := open(t, from, to.ID(), echo.Protocol)
	sent = new(atomic.Int64)
	over, done := make(chan struct{}), make(chan error, 1)
	go func() {
		body := make([]byte, 64<<10)
		for {
			select {
			case <-over:
				done <- s.CloseWrite()
				return
			default:
				n, err := s.Write(body)
				sent.Add(int64(n))
				if err != nil {
					done <- err
					return
				}
			}
		}
	}()
	back := make(chan error, 1)
	var got int64
	go func() {
		var err error
		got, err = io.Copy(io.Discard, struct{ io.Reader }{s})
		back <- err
	}()
	return sent, func() (int64, error) {
		close(over)
		if err := errors.Join(<-done, <-back); err != nil {
			return got, err
		}
		if got != sent.Load() {
			return got, io.ErrUnexpectedEOF
		}
		return got, nil
	}
}

func TestUnreadStreamsHoldNoMoreThanBufferBytes(t *testing.T) {
	const limit, peers, each = 8 << 20, 5, 200
	d := newDeafNode(t, func(l *troupe.Limits) { l.BufferBytes = limit })
	honest := newNode(t)
	connect(t, honest, d.System)
	stop := d.watch()
	sent, end := flow(t, honest, d.System)
	// Its window is wide by then, if the round trip is long enough for that.
	until(t, "an honest peer is well under way before anybody else comes", func() bool { return d.used() >= 2<<20 || sent.Load() >= 64<<20 })
	c := newCrowd(d, peers, each)
	before := heapInUse()
	c.push(d)
	moved, err := end()
	if err != nil {
		t.Error("an honest transfer beside them:", err)
	}
	if err := echoes(bounded(t), honest, d.System, "and a new stream beside full ones"); err != nil {
		t.Error(err)
	}
	stop()
	resets := c.resets(d) // those of the last while are for the honest peer's sake
	if most := d.most.Load(); most > limit || most < limit/2 {
		t.Errorf("%d bytes in use, the limit is %d", most, limit)
	}
	// What is not counted is free on each connection; buffers are not full to the last byte.
	const allowed = 2 * (limit + (peers+1)*256<<10)
	grown := heapInUse() - before
	if grown > allowed {
		t.Errorf("the heap has grown by %d bytes, at most %d may be", grown, allowed)
	}
	t.Logf("%d of %d streams reset, %d bytes in use at most, the heap has grown by %d; %d bytes of an honest peer's",
		resets, peers*each, d.most.Load(), grown, moved)

	// Handlers learn that it was a limit of this node, and which.
	if resets == 0 {
		t.Fatal("no stream was reset")
	}
	for range resets {
		err := <-d.ended
		e := wantError(t, err, troupe.ErrLimit)
		var why *actors.Exhausted
		if e.Origin != troupe.OriginLimit || e.Wire != 0x1002 || !errors.As(err, &why) || why.Limit != "Limits.BufferBytes" || why.Cap != limit {
			t.Fatal(err)
		}
	}
	for _, s := range c.streams[0] {
		if err := s.Err(); err != nil {
			if e := wantError(t, err, troupe.ErrReset); e.Wire != 0x1002 || e.Origin != troupe.OriginRemote {
				t.Fatal(err)
			}
		}
	}
	for _, p := range c.peers {
		p.Disconnect(d.ID())
	}
	honest.Disconnect(d.ID())
	until(t, "all of it is given back", func() bool { return d.used() == 0 })
	if len(d.ended) > 0 {
		t.Error("more handlers than were reset:", <-d.ended)
	}
}

func TestAThousandFullStreamsFitTheDefaultLimit(t *testing.T) {
	const peers, each, window = 5, 200, 256 << 10
	d := newDeafNode(t, func(*troupe.Limits) {})
	c := newCrowd(d, peers, each)
	stop := d.watch()
	resets := c.push(d)
	stop()
	t.Logf("%d bytes in use", d.used())
	if most := d.most.Load(); resets != 0 || len(d.ended) != 0 || most > 256<<20 || most < peers*(each-2)*window {
		t.Errorf("%d streams were reset, %d bytes in use at most", resets, most)
	}
	for _, ss := range c.streams {
		for _, s := range ss {
			_ = s.Reset(0)
		}
	}
	until(t, "all of it is given back", func() bool { return d.used() == 0 })
}

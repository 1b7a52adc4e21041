package drive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/troupe-p2p/troupe/bench/control"
)

// tally gathers how long each of many took.
type tally struct {
	mu    sync.Mutex
	took  []time.Duration
	err   error
	began time.Time
}

func (t *tally) add(d time.Duration, err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.err = errors.Join(t.err, err)
		return false
	}
	t.took = append(t.took, d)
	return true
}

func (t *tally) reply() (control.Reply, error) {
	r := control.Reply{Seconds: time.Since(t.began).Seconds(), Count: len(t.took)}
	if t.err != nil {
		return r, t.err
	}
	if len(t.took) == 0 {
		return r, errors.New("not one in the time given")
	}
	slices.Sort(t.took)
	at := func(q float64) float64 { return float64(t.took[int(q*float64(len(t.took)-1))]) / 1e3 }
	r.P50, r.P99, r.Max = at(0.5), at(0.99), at(1)
	return r, nil
}

// until repeats one, on so many goroutines, for the time given or so often.
func until(workers, ms, count int, one func(worker int) error) (control.Reply, error) {
	t := &tally{began: time.Now()}
	end := t.began.Add(time.Duration(ms) * time.Millisecond)
	var wg sync.WaitGroup
	for w := range max(workers, 1) {
		wg.Go(func() {
			for i := 0; count == 0 || i < count; i++ {
				start := time.Now()
				if count == 0 && !start.Before(end) {
					return
				}
				err := one(w)
				if !t.add(time.Since(start), err) {
					return
				}
			}
		})
	}
	wg.Wait()
	return t.reply()
}

func (d *driver) requests(ctx context.Context, req control.Request) (control.Reply, error) {
	body := bytes.Repeat([]byte("q"), int(req.Bytes))
	return until(req.InFlight, req.MS, req.Count, func(int) error {
		return d.request(ctx, req.Peer, body)
	})
}

func (d *driver) request(ctx context.Context, peer string, body []byte) error {
	s, err := d.node.Open(ctx, peer, control.RequestProtocol)
	if err != nil {
		return err
	}
	if _, err := s.Write(body); err != nil {
		return err
	}
	if err := s.CloseWrite(); err != nil {
		return err
	}
	got := make([]byte, len(body)+1)
	if n, err := io.ReadFull(s, got); n != len(body) || !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%d bytes came for %d: %w", n, len(body), err)
	}
	return s.Close()
}

func (d *driver) connects(ctx context.Context, req control.Request) (control.Reply, error) {
	nodes := make([]Node, max(req.InFlight, 1))
	for i := range nodes {
		n, err := d.makeNode(Config{Security: d.cfg.Security})
		if err != nil {
			return control.Reply{}, err
		}
		defer n.Close()
		nodes[i] = n
	}
	return until(len(nodes), req.MS, req.Count, func(w int) error {
		id, err := nodes[w].Connect(ctx, req.Addr)
		if err != nil {
			return err
		}
		return nodes[w].Disconnect(ctx, id)
	})
}

func (d *driver) ping(ctx context.Context, req control.Request) (control.Reply, error) {
	s, err := d.node.Open(ctx, req.Peer, control.PingProtocol)
	if err != nil {
		return control.Reply{}, err
	}
	defer s.Abort()
	if err := pingOn(s); err != nil { // agrees on the protocol
		return control.Reply{}, err
	}
	if req.Streams > 0 {
		load, err := d.load(ctx, req)
		if err != nil {
			return control.Reply{}, err
		}
		defer load()
	}
	return until(1, req.MS, req.Count, func(int) error { return pingOn(s) })
}

// ramp is how long a load runs before anything is measured beside it.
const ramp = 300 * time.Millisecond

// load uploads without end on streams of their own, until the returned function is called. All are
// open before the first is written to, as in transfer: a new stream queues behind all busy ones, so
// that go-libp2p opened 1,000 in 48 s, while its ping handler hangs up after 10 s without a ping.
func (d *driver) load(ctx context.Context, req control.Request) (stop func(), err error) {
	var streams []Stream
	var writers sync.WaitGroup
	stop = func() {
		for _, s := range streams {
			writers.Go(s.Abort) // at once: one by one each would queue behind those still busy
		}
		writers.Wait()
	}
	for range req.Streams {
		s, err := d.node.Open(ctx, req.Peer, control.SinkProtocol)
		if err != nil {
			stop()
			return nil, err
		}
		streams = append(streams, s)
	}
	for _, s := range streams {
		writers.Go(func() {
			p := make([]byte, chunk)
			for {
				if _, err := s.Write(p); err != nil {
					return // aborted
				}
			}
		})
	}
	time.Sleep(ramp)
	return stop, nil
}

func pingOn(s Stream) error {
	var ask, answer [32]byte
	copy(ask[:], "0123456789abcdef0123456789abcdef")
	if _, err := s.Write(ask[:]); err != nil {
		return err
	}
	if _, err := io.ReadFull(s, answer[:]); err != nil {
		return err
	}
	if ask != answer {
		return errors.New("another answer came than was sent")
	}
	return nil
}

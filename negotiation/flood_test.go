package negotiation_test

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/negotiation/noise"
)

// TestHonestPeersGetInDuringAFlood holds the gate full of connections that never finish, dialled
// anew as soon as they are closed, from one address or from a thousand, while a hundred honest peers
// connect, ten at a time. What the flood dials beside each ten is counted and not timed, and fewer
// than a quarter of the slots, so that each of them has its time however slow the machine is:
// how fast a flood may be is the subject of package admission, in virtual time.
func TestHonestPeersGetInDuringAFlood(t *testing.T) {
	for _, c := range []struct {
		name string
		from func(i int) net.IP
		say  string // by each of the flood
	}{
		{"one address", func(int) net.IP { return net.IPv4(127, 9, 9, 9) }, ""},
		{"a thousand addresses", func(i int) net.IP { return net.IPv4(127, 1, byte(i/250%4), byte(1+i%250)) }, ""},
		{"a thousand addresses that begin to speak", func(i int) net.IP { return net.IPv4(127, 1, byte(i/250%4), byte(1+i%250)) }, "\x13/multistream/1.0.0\n"},
	} {
		t.Run(c.name, func(t *testing.T) { flooded(t, 256, c.from, c.say) })
	}
}

func flooded(t *testing.T, slots int, from func(int) net.IP, say string) {
	rt := run(t)
	d := newDoor(t, rt, newPerson(t), slots)
	const honest, atATime, beside = 100, 10, 32
	more := make(chan struct{}, 4*slots) // each lets the flood dial once
	var dialled, open atomic.Int64
	let := func(n int) {
		for range n {
			open.Add(1)
			more <- struct{}{}
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	var flood sync.WaitGroup
	for i := range 4 * slots {
		flood.Go(func() {
			dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: from(i)}}
			for {
				select {
				case <-more:
				case <-ctx.Done():
					return
				}
				if c, err := dialer.DialContext(ctx, "tcp", d.host); err == nil {
					dialled.Add(1)
					cancel := context.AfterFunc(ctx, func() { _ = c.Close() })
					_, _ = c.Write([]byte(say))
					_, _ = io.Copy(io.Discard, c)
					cancel()
					_ = c.Close()
				}
				open.Add(-1)
			}
		})
	}
	defer flood.Wait()
	defer stop()
	// The gate has taken in all that were dialled: there are no more than it has room for.
	settled := func() bool { return len(more) == 0 && open.Load() <= int64(slots) }
	let(4 * slots)
	until(t, "the gate full", settled)
	if n := dialled.Load(); n != int64(4*slots) {
		t.Fatalf("the flood dialled %d connections", n)
	}

	var (
		guests sync.WaitGroup
		mu     sync.Mutex
		took   []time.Duration
		failed []error
	)
	arrived := arrivals(d)
	me := newPerson(t, only(noise.ID))
	for range honest / atATime {
		let(beside)
		for range atATime {
			guests.Go(func() {
				start := time.Now()
				err := visit(t, rt, me, d, arrived)
				mu.Lock()
				took = append(took, time.Since(start))
				if err != nil {
					failed = append(failed, err)
				}
				mu.Unlock()
			})
		}
		guests.Wait()
		until(t, "the gate at rest", settled)
	}
	slices.Sort(took)
	if len(failed) > 0 {
		t.Errorf("%d of %d honest peers failed: %v", len(failed), honest, failed)
	}
	t.Logf("%d connections of the flood; honest p50 %v, max %v", dialled.Load(), took[honest/2], took[honest-1])
}

// guestbook is who has arrived behind the gate, by the remote's address.
type guestbook struct {
	mu   sync.Mutex
	seen map[string]chan struct{}
}

func (g *guestbook) page(remote []byte) chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.seen[string(remote)] == nil {
		g.seen[string(remote)] = make(chan struct{})
	}
	return g.seen[string(remote)]
}

// arrivals writes it, as long as the probe lives.
func arrivals(d *door) *guestbook {
	g := &guestbook{seen: map[string]chan struct{}{}}
	go func() {
		for {
			select {
			case m := <-d.peers.got:
				l := m.(*messages.Arrived).Link
				page := g.page(l.Endpoints.Remote.Bytes())
				select {
				case <-page: // the port has been used before
				default:
					close(page)
				}
				l.Close()
			case <-d.peers.ref.Done():
				return
			}
		}
	}()
	return g
}

// visit connects as an honest peer.
func visit(t *testing.T, rt *actors.Runtime, me person, d *door, arrived *guestbook) error {
	c, err := connect(rt, d.addr)
	if err != nil {
		return err
	}
	out := newProbe(t, rt, "")
	knock(t, rt, me, c, d.id, out)
	defer out.ref.Stop()
	select {
	case m := <-out.got:
		switch m := m.(type) {
		case *messages.UpgradeFailed:
			return m.Err
		case *messages.Upgraded:
			defer m.Link.Close()
		}
	case <-time.After(patience):
		return errors.New("hangs")
	}
	// The dialler is through before the listener: only there it is known that it got in.
	select {
	case <-arrived.page(c.Endpoints().Local.Bytes()):
		return nil
	case <-time.After(patience / 4):
		return errors.New("evicted before the last message was read")
	}
}

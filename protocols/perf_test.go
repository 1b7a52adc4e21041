package protocols_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/protocols/perf"
	"github.com/troupe-p2p/troupe/protocols/perf/perfcore"
)

func TestPerfMovesWhatWasAskedFor(t *testing.T) {
	p := newPair(t, loopback)
	p.b.handle(perf.Protocol, perf.Handler())
	for _, c := range []struct{ up, down uint64 }{
		{0, 0}, {1, 0}, {0, 1}, {perfcore.BlockSize, perfcore.BlockSize}, {perfcore.BlockSize + 1, perfcore.BlockSize - 1},
		{16 << 20, 0}, {0, 16<<20 + 5}, {3 << 20, 5 << 20},
	} {
		var seen perf.Progress
		r, err := perf.Run(t.Context(), p.a.open(perf.Protocol), c.up, c.down, p.rt.Now, func(now perf.Progress) {
			if now.Up < seen.Up || now.Down < seen.Down || now.At.Before(seen.At) || now.Down > 0 && now.Up < c.up {
				t.Errorf("up %d, down %d: %+v after %+v", c.up, c.down, now, seen)
			}
			seen = now
		})
		if err != nil || r.Uploaded != c.up || r.Downloaded != c.down {
			t.Errorf("up %d, down %d: %+v, %v", c.up, c.down, r, err)
		}
		if seen.Up != c.up || seen.Down != c.down {
			t.Errorf("up %d, down %d: the progress ended at %+v", c.up, c.down, seen)
		}
	}
}

func TestPerfServerHoldsOneCapForWhoDoesNotRead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		before := buf.Live()
		p := newPair(t, loopback)
		p.b.handle(perf.Protocol, perf.Handler())
		s := p.a.open(perf.Protocol)
		_, _ = s.Write(binary.BigEndian.AppendUint64(nil, 1<<40))
		_ = s.CloseWrite()
		synctest.Wait()
		if n := buf.Live() - before; n > 200 {
			t.Errorf("%d buffers are out for a download of 1 TiB that nobody reads", n)
		}
		began := time.Now()
		<-s.Context().Done()
		if d := time.Since(began); d != 30*time.Second {
			t.Errorf("who reads nothing is served for %v", d)
		}
		p.a.close()
		p.b.close()
		pass(time.Second)
		if n := buf.Live() - before; n != 0 {
			t.Errorf("%d buffers were not given back", n)
		}
	})
}

func TestPerfServerRefusesAHeaderThatIsCutShort(t *testing.T) {
	p := newPair(t, loopback)
	p.b.handle(perf.Protocol, perf.Handler())
	for n := range 8 {
		s := p.a.open(perf.Protocol)
		_, _ = s.Write(make([]byte, n))
		_ = s.CloseWrite()
		wantReset(t, "perf.md: eight bytes come first", s, 0x1004)
	}
}

func TestPerfClientSaysWhyItFailed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPair(t, loopback)
		p.b.handle("/mute", mute())
		p.b.handle("/early", saying(make([]byte, 10)))
		once := func(ctx context.Context, protocol string, down uint64) error {
			_, err := perf.Run(ctx, p.a.open(protocol), 1, down, p.rt.Now, nil)
			return err
		}
		began := time.Now()
		if err := once(t.Context(), "/mute", 1); !errors.Is(err, perfcore.ErrStalled) || time.Since(began) != 30*time.Second {
			t.Errorf("silence: %v after %v", err, time.Since(began))
		}
		why := errors.New("enough")
		ctx, stop := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { stop(why) })
		if err := once(ctx, "/mute", 1); !errors.Is(err, why) {
			t.Errorf("the caller gives up: %v", err)
		}
		if err := once(t.Context(), "/early", 11); !errors.Is(err, perfcore.ErrShort) {
			t.Errorf("too short an answer: %v", err)
		}
		if err := once(t.Context(), "/early", 9); !errors.Is(err, perfcore.ErrLong) {
			t.Errorf("too long an answer: %v", err)
		}
		if err := once(t.Context(), "/unheard-of", 9); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("a protocol that the remote does not speak: %v", err)
		}
	})
}

package mux_test

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/mux"
	"github.com/troupe-p2p/troupe/stream"
	"github.com/troupe-p2p/troupe/testkit/muxtest"
)

func TestProbeWaitsForASignOfLife(t *testing.T) {
	w := muxtest.NewWorld(t, raw, muxtest.Setup{})
	if rtt, err := w.A.Probe(); err != nil || rtt <= 0 {
		t.Fatal(rtt, err)
	}
	for range 3 {
		if _, err := w.B.Probe(); err != nil {
			t.Fatal(err)
		}
	}
	w.End() // a world counts the buffers of the process: two of them may not overlap
	synctest.Test(t, func(t *testing.T) {
		w := muxtest.NewWorld(t, raw, muxtest.Setup{Bare: true})
		r := newYamuxRemote(w)
		if rtt, err := w.B.Probe(); err != nil || rtt < 0 {
			t.Fatal(rtt, err)
		}
		r.stop()
		start := time.Now()
		if _, err := w.B.Probe(); !errors.Is(err, stream.ErrConnClosed) {
			t.Fatal("a dead remote:", err)
		}
		if d := time.Since(start); d != 10*time.Second {
			t.Fatalf("given up after %v", d)
		}
	})
}

func TestARequestLeavesInOneWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end, subject := record(raw)
		w := muxtest.NewWorld(t, subject, muxtest.Setup{})
		w.A.Handle("/sink", muxtest.RunHandler(func(_ ctx, s *stream.Blocking) { _, _ = io.Copy(io.Discard, s) }))
		synctest.Wait()
		wrote := func(why string, want int32) {
			t.Helper()
			synctest.Wait()
			if n := end.writes.Swap(0); n != want {
				t.Errorf("%s: %d writes, want %d", why, n, want)
			}
		}
		end.writes.Store(0) // of pings
		s := w.B.Open("/sink")
		wrote("the remote hears of it with the request", 0)
		if _, err := s.Write([]byte("a request")); err != nil {
			t.Fatal(err)
		}
		wrote("SYN, proposal and request", 1)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		wrote("the end", 1)
	})
}

func TestWindowsTakeTheirMemoryFromTheNode(t *testing.T) {
	w := muxtest.NewWorld(t, raw, muxtest.Setup{Buffers: 3 << 20, Bulk: true, Config: mux.Config{}})
	w.B.Handle("/sink", muxtest.RunHandler(func(_ ctx, s *stream.Blocking) { _, _ = io.Copy(io.Discard, struct{ io.Reader }{s}) }))
	var most int64
	streams := make([]*stream.Blocking, 3)
	for i := range streams {
		streams[i] = w.A.Open("/sink")
	}
	stop := make(chan struct{})
	done := w.Pour(256<<10, stop, streams...)
	w.Eventually("the windows grow to what there is", func() bool {
		used, _ := w.B.Buffers.Used()
		most = max(most, used)
		return used == 3<<20
	})
	close(stop)
	for range streams {
		if err := muxtest.Within(t, "the writers stop", done); err != nil {
			t.Error(err)
		}
	}
	w.Eventually("what no stream needs goes back while the connection lives", func() bool {
		used, _ := w.B.Buffers.Used()
		return used == 0
	})
	if _, err := actors.Ask(t.Context(), w.B.Session, func(r actors.Reply[time.Duration]) messages.Session {
		return &messages.Probe{Reply: r}
	}); err != nil {
		t.Error("the connection lives:", err)
	}
}

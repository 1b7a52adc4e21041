package protocols_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/mux"
	"github.com/troupe-p2p/troupe/protocols/ping"
	"github.com/troupe-p2p/troupe/protocols/ping/pingcore"
	"github.com/troupe-p2p/troupe/stream"
)

// mute is a handler that takes a stream and says nothing.
func mute() stream.Handler {
	return stream.Handler{Actor: func(*stream.Stream) actors.Spec {
		return probe("", func(actor.Context, any) {})
	}}
}

// saying is a handler that sends something once it is opened, and ends.
func saying(p []byte) stream.Handler {
	return stream.Handler{Actor: func(*stream.Stream) actors.Spec {
		return probe("", func(_ actor.Context, m any) {
			if o, ok := m.(*stream.Opened); ok {
				o.Stream.WriteCopy(p)
				o.Stream.Close()
			}
		})
	}}
}

func wantReset(t *testing.T, why string, s *stream.Blocking, code uint32) {
	t.Helper()
	_, err := io.ReadAll(s)
	var re *mux.ResetError
	if !errors.As(err, &re) || !re.Remote || re.Code != code {
		t.Errorf("%s: want a reset with code %#x, got %v", why, code, err)
	}
}

func TestPingsFollowEachOtherOnOneStream(t *testing.T) {
	p := newPair(t, loopback)
	p.b.handle(ping.Protocol, ping.Handler())
	s := p.a.open(ping.Protocol)
	for range 100 {
		rtt, err := ping.Ping(t.Context(), s, p.rt.Rand(), p.rt.Now)
		if err != nil || rtt <= 0 || rtt > 10*time.Second {
			t.Fatalf("round trip %v, err %v", rtt, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestPingAnswersWhatComesInPiecesOrTogether(t *testing.T) {
	p := newPair(t, loopback)
	p.b.handle(ping.Protocol, ping.Handler())
	s := p.a.open(ping.Protocol)
	want := noise(10*pingcore.Size, 7)
	for _, cut := range [][2]int{{0, 1}, {1, 31}, {31, 33}, {33, 300}, {300, 320}} {
		if _, err := s.Write(want[cut[0]:cut[1]]); err != nil {
			t.Fatal(err)
		}
	}
	_ = s.CloseWrite()
	got, err := io.ReadAll(s)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%d bytes of %d came back, err %v", len(got), len(want), err)
	}
}

func TestPingServesTwoStreamsOfAPeerAndNoThird(t *testing.T) {
	p := newPair(t, loopback)
	p.b.handle(ping.Protocol, ping.Handler())
	rtt := func(s *stream.Blocking) error {
		_, err := ping.Ping(t.Context(), s, p.rt.Rand(), p.rt.Now)
		return err
	}
	one, two := p.a.open(ping.Protocol), p.a.open(ping.Protocol)
	if err := errors.Join(rtt(one), rtt(two)); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		wantReset(t, "ping/ping.md: at most two streams per peer", p.a.open(ping.Protocol), 0x1002)
	}
	if err := errors.Join(rtt(one), rtt(two)); err != nil {
		t.Fatalf("the two that were there: %v", err)
	}
	// A place is free again however the stream has ended.
	_ = one.Close()
	_ = two.Reset(0)
	for rtt(p.a.open(ping.Protocol)) != nil {
		// the end of the others is on its way
	}
}

func TestPingStreamThatIsKilledLeavesItsPlace(t *testing.T) {
	p := newPair(t, loopback)
	p.b.handle(ping.Protocol, ping.Handler())
	for range 10 {
		s := p.a.open(ping.Protocol)
		if _, err := ping.Ping(t.Context(), s, p.rt.Rand(), p.rt.Now); err != nil {
			t.Fatal(err)
		}
		for _, n := range p.rt.Tree("conn-inbound").Roots[0].Children {
			p.rt.Kill(n.Path+"/handler", "test")
		}
		wantReset(t, "a handler has panicked", s, stream.CodeHandlerPanic)
	}
}

func TestPingGivesUpOnWhoIsSilentAndOnWhoFloods(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPair(t, loopback)
		p.b.handle(ping.Protocol, ping.Handler())

		began := time.Now()
		half := p.a.open(ping.Protocol)
		_, _ = half.Write(make([]byte, 10))
		wantReset(t, "10 bytes of 32 and then silence", half, 0x1006)
		if d := time.Since(began); d != 10*time.Second {
			t.Errorf("half a ping was waited for for %v", d)
		}

		began = time.Now()
		idle := p.a.open(ping.Protocol)
		_, _ = idle.Write(make([]byte, pingcore.Size))
		_, err := io.ReadFull(idle, make([]byte, pingcore.Size))
		if err != nil {
			t.Fatal(err)
		}
		wantReset(t, "no ping for a minute", idle, 0x1006)
		if d := time.Since(began); d != time.Minute {
			t.Errorf("an idle stream was kept for %v", d)
		}

		flood := p.a.open(ping.Protocol)
		for err == nil {
			_, err = flood.Write(make([]byte, 64<<10))
		}
		wantReset(t, "pings without end whose answers are not read", flood, 0x1004)

	})
}

func TestPingSaysWhyItFailed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newPair(t, loopback)
		p.b.handle("/mute", mute())
		p.b.handle("/wrong", saying(make([]byte, pingcore.Size)))
		p.b.handle("/short", saying(make([]byte, 3)))
		p.b.handle("/none", saying(nil))
		once := func(ctx context.Context, protocol string) error {
			s := p.a.open(protocol)
			defer s.Reset(0)
			_, err := ping.Ping(ctx, s, p.rt.Rand(), p.rt.Now)
			return err
		}

		began := time.Now()
		if err := once(t.Context(), "/mute"); !errors.Is(err, pingcore.ErrTimeout) || time.Since(began) != 10*time.Second {
			t.Errorf("silence: %v after %v", err, time.Since(began))
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		if err := once(short, "/mute"); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("the caller's deadline: %v after %v", err, time.Since(began))
		}
		why := errors.New("enough")
		ctx, stop := context.WithCancelCause(t.Context())
		time.AfterFunc(3*time.Second, func() { stop(why) })
		began = time.Now()
		if err := once(ctx, "/mute"); !errors.Is(err, why) || time.Since(began) > 4*time.Second {
			t.Errorf("the caller gives up: %v after %v", err, time.Since(began))
		}
		if err := once(t.Context(), "/wrong"); !errors.Is(err, pingcore.ErrMismatch) {
			t.Errorf("an answer to something else: %v", err)
		}
		for _, protocol := range []string{"/short", "/none"} {
			if err := once(t.Context(), protocol); err == nil {
				t.Errorf("%s: no error", protocol)
			}
		}
		if err := once(t.Context(), "/unheard-of"); err == nil {
			t.Error("a protocol that the remote does not speak: no error")
		}
	})
}

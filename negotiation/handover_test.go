package negotiation_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/negotiation/noise"
	"github.com/troupe-p2p/troupe/negotiation/upgrade"
	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

// scripted is a conduit to an upgrade core that the test drives: the remote.
type scripted struct {
	t      *testing.T
	remote *upgrade.Upgrade
	dir    conduit.Direction

	mu       sync.Mutex
	sink     conduit.Sink
	credits  int
	fail     error         // of every write from now on
	full     bool          // nothing fits at once
	draining []byte        // lent by Drain
	drains   chan struct{} // a Drain has begun
	closed   bool
}

func newScripted(t *testing.T, dir conduit.Direction, remote person) *scripted {
	t.Helper()
	cfg := remote.cfg.Core
	cfg.Role = upgrade.Listener
	if dir == conduit.Inbound {
		cfg.Role = upgrade.Dialer
	}
	core, err := upgrade.New(cfg, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return &scripted{t: t, remote: core, dir: dir, drains: make(chan struct{}, 16)}
}

func (s *scripted) Endpoints() conduit.Endpoints {
	a := ma.StringCast("/memory/1")
	return conduit.Endpoints{Local: a, Remote: a, Direction: s.dir, Transport: "script"}
}

func (s *scripted) Bind(k conduit.Sink, credits int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sink, s.credits = k, credits
}

func (s *scripted) More() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.credits++
}

func (s *scripted) TryWrite(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.fail != nil:
		return 0, s.fail
	case s.full:
		return 0, nil
	}
	_ = s.remote.HandleBytes(time.Now(), append([]byte(nil), p...))
	return len(p), nil
}

func (s *scripted) Drain(p []byte) {
	s.mu.Lock()
	s.draining = p
	s.mu.Unlock()
	s.drains <- struct{}{}
}

// drained ends the Drain.
func (s *scripted) drained(err error) {
	s.mu.Lock()
	k, p := s.sink, s.draining
	s.draining = nil
	if err == nil {
		_ = s.remote.HandleBytes(time.Now(), append([]byte(nil), p...))
	}
	s.mu.Unlock()
	k.Drained(err)
}

func (s *scripted) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

func (s *scripted) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// speak offers what the remote has to say, and more behind it, when there is a credit.
func (s *scripted) speak(more ...byte) {
	s.t.Helper()
	var k conduit.Sink
	var out []byte
	until(s.t, "the upgrade reads, and the remote has something to say", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.credits == 0 || s.sink == nil {
			return false
		}
		if out = s.remote.AppendOutput(nil); len(out) == 0 {
			return false
		}
		s.credits--
		k = s.sink
		return true
	})
	k.Offer(buf.Copy(append(out, more...)))
}

// atTheLastMessage brings a dialler to where it has one message left to send, its third.
func atTheLastMessage(t *testing.T, rt *actors.Runtime, edit ...func(*upgrade.Config)) (*scripted, actors.Ref[any], *probe) {
	t.Helper()
	out := newProbe(t, rt, "dialler")
	edit = append(edit, only(noise.ID))
	s := newScripted(t, conduit.Outbound, newPerson(t, edit...))
	ref := knock(t, rt, newPerson(t, edit...), s, "", out)
	return s, ref, out
}

func (s *scripted) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func TestALastMessageThatCannotBeSentIsAFailure(t *testing.T) {
	rt := run(t)
	s, _, out := atTheLastMessage(t, rt)
	broken := errors.New("the wire is cut")
	until(t, "the first flight", s.greeted)
	s.set(func() { s.fail = broken })
	s.speak()
	err := want[*messages.UpgradeFailed](t, out, "nobody could use the connection").Err
	coded(t, "not our fault", err, upgrade.Remote)
	if !errors.Is(err, broken) {
		t.Error(err)
	}
	if !s.isClosed() {
		t.Error("the conduit is open")
	}
}

// greeted says that the remote has received the dialler's first flight.
func (s *scripted) greeted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.remote.Stage() >= upgrade.Securing
}

func TestTheConduitIsHandedOverWhenAllIsSent(t *testing.T) {
	rt := run(t)
	s, _, out := atTheLastMessage(t, rt)
	until(t, "the first flight", s.greeted)
	s.set(func() { s.full = true })
	s.speak()
	<-s.drains
	select {
	case m := <-out.got:
		t.Fatalf("handed over with output on its way: %T", m)
	default:
	}
	s.drained(nil)
	l := want[*messages.Upgraded](t, out, "all is sent").Link
	if s.credits != 0 || s.isClosed() {
		t.Errorf("handed over with %d credits, closed: %v", s.credits, s.isClosed())
	}
	l.Close()
}

func TestARemoteThatDoesNotTakeTheLastMessage(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(s *scripted, ref actors.Ref[any])
		want func(t *testing.T, err error)
	}{
		{"until the deadline", func(*scripted, actors.Ref[any]) {}, func(t *testing.T, err error) {
			coded(t, "we waited long enough", err, upgrade.Limit)
		}},
		{"until it is lost", func(s *scripted, _ actors.Ref[any]) { s.drained(errors.New("reset")) }, func(t *testing.T, err error) {
			coded(t, "it went", err, upgrade.Remote)
		}},
		{"until it is stopped", func(_ *scripted, ref actors.Ref[any]) { ref.Stop() }, func(t *testing.T, err error) {
			if !errors.Is(err, actors.ErrStopped) {
				t.Error(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			rt := run(t)
			s, ref, out := atTheLastMessage(t, rt, within(500*time.Millisecond))
			until(t, "the first flight", s.greeted)
			s.set(func() { s.full = true })
			s.speak()
			<-s.drains
			c.end(s, ref)
			c.want(t, want[*messages.UpgradeFailed](t, out, "it is over").Err)
			until(t, "the conduit closed", s.isClosed)
		})
	}
}

// TestABufferOfTheChannelGoesBack: what came behind the handshake is the start of a frame, which
// the opener keeps in a pooled buffer. run demands that it is released.
func TestABufferOfTheChannelGoesBack(t *testing.T) {
	part := []byte{0x10, 0x00, 1, 2, 3}
	t.Run("while the muxer is negotiated", func(t *testing.T) {
		rt := run(t)
		s, ref, out := atTheLastMessage(t, rt, lateMuxer)
		until(t, "the first flight", s.greeted)
		s.speak(part...)
		until(t, "read", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.credits == 1 })
		ref.Stop()
		want[*messages.UpgradeFailed](t, out, "stopped")
	})
	t.Run("with the last message on its way", func(t *testing.T) {
		rt := run(t)
		s, ref, out := atTheLastMessage(t, rt)
		until(t, "the first flight", s.greeted)
		s.set(func() { s.full = true })
		s.speak(part...)
		<-s.drains
		ref.Stop()
		want[*messages.UpgradeFailed](t, out, "stopped")
	})
	t.Run("in a link that nobody takes", func(t *testing.T) {
		rt := run(t)
		s, _, out := atTheLastMessage(t, rt)
		until(t, "the first flight", s.greeted)
		s.speak(part...)
		want[*messages.Upgraded](t, out, "through").Link.Close()
	})
}

// TestLastWordsAreWaitedFor: a conduit that cannot write at once, as on systems without readiness,
// still gets the refusal out.
func TestLastWordsAreWaitedFor(t *testing.T) {
	rt := run(t)
	out := newProbe(t, rt, "listener")
	s := newScripted(t, conduit.Inbound, newPerson(t, only(noise.ID)))
	s.full = true
	knock(t, rt, newPerson(t, only(upgrade.TLS)), s, "", out)
	s.speak() // header, proposal and the first message of Noise, which nobody here knows
	<-s.drains
	if s.isClosed() {
		t.Fatal("closed with the refusal on its way")
	}
	s.drained(nil)
	want[*messages.UpgradeFailed](t, out, "refused")
	if !s.isClosed() {
		t.Error("the conduit is open")
	}
}

// TestWhoCannotMakeAnUpgradeSaysSo: a random source that fails, say.
func TestWhoCannotMakeAnUpgradeSaysSo(t *testing.T) {
	rt := run(t)
	out := newProbe(t, rt, "dialler")
	s := newScripted(t, conduit.Outbound, newPerson(t, only(noise.ID)))
	me := newPerson(t, only(noise.ID))
	me.cfg.Core.Rand = nil
	knock(t, rt, me, s, "", out)
	coded(t, "our fault", want[*messages.UpgradeFailed](t, out, "no core").Err, upgrade.Local)
	if !s.isClosed() {
		t.Error("the conduit is open")
	}
}

package peers

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/peers/connset"
	"github.com/troupe-p2p/troupe/peers/dialplan"
	"github.com/troupe-p2p/troupe/peers/limits"
	"github.com/troupe-p2p/troupe/stream"
	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

func TestEverybodyWaitsForOneDial(t *testing.T) {
	w := newWorld(t)
	bob := person(t)
	one, _ := w.dial(bob, here)
	a := next(t, "the first call dials", w.dials)
	if a.job.Expect != bob || a.job.Addr.String() != here || a.job.Timeout <= 0 {
		t.Errorf("dials %+v", a.job)
	}
	two, _ := w.dial(bob, here)
	three, _ := w.open(bob, nil, here)
	a.reaches(bob)
	s := next(t, "connected", w.sessions)
	for _, ch := range []chan answer[*stream.Conn]{one, two} {
		if got := next(t, "each dial has its answer", ch); got.v != s.Conn {
			t.Errorf("answered %v, %v", got.v, got.err)
		}
	}
	if got := next(t, "and the open", three); got.err != nil {
		t.Error(got.err)
	}
	if _, ok := next(t, "over the connection", s.got).(*messages.OpenStream); !ok {
		t.Error("the connection got something else")
	}
	again, _ := w.dial(bob, there)
	if got := next(t, "a connection that is there is the answer", again); got.v != s.Conn {
		t.Error(got)
	}
	if len(w.dials) > 0 {
		t.Error("it was dialled more than once")
	}
}

func TestOfTwoLinksOfADialOneIsKept(t *testing.T) {
	w := newWorld(t)
	bob := person(t)
	call, _ := w.dial(bob, here, there)
	a, b := next(t, "one address", w.dials), next(t, "the other", w.dials)
	x, y := a.reaches(bob), b.reaches(bob)
	s := next(t, "connected", w.sessions)
	if got := next(t, "answered", call); got.v != s.Conn {
		t.Error(got)
	}
	kept, spare := x, y
	if s.Link.Secured.Raw == conduit.Raw(y) {
		kept, spare = y, x
	}
	next(t, "the other link is closed", spare.closed)
	select {
	case <-kept.closed:
		t.Error("the one that is kept is closed")
	default:
	}
	until(t, "one is listed", func() bool { return len(w.conns()) == 1 })
}

func TestWhyADialFailed(t *testing.T) {
	w := newWorld(t)
	bob := person(t)
	call, _ := w.dial(bob, here)
	next(t, "dialling", w.dials).fails(errRefused)
	got := next(t, "answered", call)
	var e *dialplan.Error
	if !errors.As(got.err, &e) || !errors.Is(got.err, errRefused) {
		t.Error(got.err)
	}
	call, _ = w.dial(person(t))
	if got := next(t, "no address is known", call); !errors.Is(got.err, dialplan.ErrNoAddress) {
		t.Error(got.err)
	}
	call, _ = w.dial(w.self, here)
	if got := next(t, "that is we", call); !errors.Is(got.err, ErrSelf) {
		t.Error(got.err)
	}
	call, _ = w.open(bob, func(m *messages.Open) { m.NoDial = true })
	if got := next(t, "it must not dial", call); !errors.Is(got.err, ErrNotConnected) {
		t.Error(got.err)
	}
}

func TestABugInAnAttemptIsItsOutcome(t *testing.T) {
	w := newWorld(t)
	for _, peer := range []string{"known", "anonymous"} {
		bob := person(t)
		if peer == "anonymous" {
			bob = ""
		}
		call, _ := w.dial(bob, here)
		a := next(t, "dialling", w.dials)
		w.rt.Kill(a.ref.Path(), "test")
		if got := next(t, peer+": who waits is told", call); got.err == nil {
			t.Error("no error")
		}
	}
}

// TestADialThatNobodyWaitsForStops at once: in virtual time, which stands still meanwhile.
func TestADialThatNobodyWaitsForStops(t *testing.T) {
	for name, call := range map[string]func(w *world) (chan answer[*stream.Conn], context.CancelFunc){
		"dial": func(w *world) (chan answer[*stream.Conn], context.CancelFunc) { return w.dial(person(w.t), here) },
		"open": func(w *world) (chan answer[*stream.Conn], context.CancelFunc) {
			return w.open(person(w.t), nil, here)
		},
		"dial to whoever answers": func(w *world) (chan answer[*stream.Conn], context.CancelFunc) { return w.dial("", here) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t)
				got, cancel := call(w)
				a := next(t, "it begins", w.dials)
				before := time.Now()
				cancel()
				if got := next(t, "it is given up", got); got.err == nil {
					t.Error("no error")
				}
				next(t, "the attempt stops", a.end)
				if d := time.Since(before); d != 0 {
					t.Errorf("it took %v", d)
				}
			})
		})
	}
}

func TestADialGoesOnForThoseWhoStillWait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		bob := person(t)
		_, cancel := w.dial(bob, here)
		a := next(t, "dialling", w.dials)
		stays, _ := w.open(bob, nil)
		synctest.Wait()
		cancel()
		synctest.Wait()
		select {
		case <-a.end:
			t.Fatal("stopped")
		default:
		}
		a.reaches(bob)
		if got := next(t, "the other one gets the connection", stays); got.err != nil {
			t.Error(got.err)
		}
	})
}

func TestADialKeepsItsDeadline(t *testing.T) {
	w := newWorld(t)
	for _, peer := range []string{"known", "anonymous"} {
		bob := person(t)
		if peer == "anonymous" {
			bob = ""
		}
		got := make(chan error, 1)
		r := actors.NewReply(w.peers, func(_ *stream.Conn, err error) { got <- err })
		_ = w.peers.Send(&messages.Dial{Peer: bob, Addrs: multiaddrs([]string{here}), Deadline: w.rt.Now().Add(10 * time.Millisecond), Reply: r})
		a := next(t, "dialling", w.dials)
		if err := next(t, "time is up", got); !errors.Is(err, connset.ErrNoConnection) {
			t.Error(err)
		}
		next(t, "nobody else waits", a.end)
	}
	got := make(chan error, 1)
	r := actors.NewReply(w.peers, func(_ *stream.Stream, err error) { got <- err })
	_ = w.peers.Send(&messages.Open{Peer: person(t), Addrs: multiaddrs([]string{here}), Deadline: w.rt.Now().Add(10 * time.Millisecond), Reply: r})
	a := next(t, "dialling for an open", w.dials)
	if err := next(t, "its time is up", got); !errors.Is(err, connset.ErrNoConnection) {
		t.Error(err)
	}
	next(t, "nobody else waits", a.end)
}

func TestWhoeverAnswersIsTaken(t *testing.T) {
	w := newWorld(t, limited(limits.Limits{ConnsPerPeer: 1}))
	bob := person(t)
	call, _ := w.dial("", here)
	a := next(t, "dialling", w.dials)
	if a.job.Expect != "" {
		t.Errorf("expects %v", a.job.Expect)
	}
	a.reaches(bob)
	s := next(t, "connected", w.sessions)
	if got := next(t, "answered", call); got.v != s.Conn || got.v.Peer != bob {
		t.Error(got)
	}

	_ = s.Owner.Control(&messages.StreamsChanged{Conn: s.Conn.ID})
	call, _ = w.dial("", there)
	x := next(t, "dialling", w.dials).reaches(bob)
	next(t, "bob has as many connections as he may have", x.closed)
	if got := next(t, "so the one that is there is the answer", call); got.v != s.Conn {
		t.Error(got)
	}

	call, _ = w.dial("", here)
	next(t, "dialling", w.dials).fails(errRefused)
	if got := next(t, "answered", call); !errors.Is(got.err, errRefused) {
		t.Error(got.err)
	}
}

func TestAttemptsWaitForEachOther(t *testing.T) {
	w := newWorld(t, limited(limits.Limits{HalfOpenOut: 2}))
	for _, free := range []struct {
		name string
		by   func(a *attempted)
	}{
		{"it fails", func(a *attempted) { a.fails(errRefused) }},
		{"it is stopped", func(a *attempted) { a.ref.Stop() }},
		{"its actor fails", func(a *attempted) { w.rt.Kill(a.ref.Path(), "test") }},
		{"it succeeds", func(a *attempted) { a.reaches(person(t)) }},
	} {
		first, _ := w.dial("", here)
		a := next(t, "one", w.dials)
		_, cancel := w.dial(person(t), here)
		b := next(t, "two", w.dials)
		waits, give := w.dial(person(t), here)
		third, _ := w.dial(person(t), there)
		for range 3 {
			_ = w.conns() // a question to peers: it has handled what came before
		}
		if len(w.dials) > 0 {
			t.Fatal("more than two run at the same time")
		}
		give()
		next(t, "who waits for a permit may give up", waits)
		free.by(a)
		next(t, free.name, first)
		c := next(t, "when "+free.name+", the next begins", w.dials)
		for c.job.Addr.String() != there { // it is not known yet that it was given up
			next(t, "stopped", c.end)
			c = next(t, "and the next", w.dials)
		}
		cancel()
		next(t, "and the other one is given up", b.end)
		c.fails(errRefused)
		next(t, "the third has its answer", third)
		until(t, "nothing is under way", func() bool { return len(w.actors("dial")) == 0 })
		for len(w.dials) > 0 { // the one that was given up may have had its permit just then
			<-w.dials
		}
	}
}

func TestALimitOfNoDialsIsAnAnswer(t *testing.T) {
	w := newWorld(t, limited(limits.Limits{HalfOpenOut: -1}))
	call, _ := w.dial(person(t), here)
	var refusal limits.Refusal
	if got := next(t, "refused", call); !errors.As(got.err, &refusal) || refusal.Limit != "HalfOpenOut" {
		t.Error(got.err)
	}
	call, _ = w.dial("", here)
	if got := next(t, "refused", call); !errors.As(got.err, &refusal) {
		t.Error(got.err)
	}
}

// TestBackoffOutlivesThePeersActor: an actor that has nothing to do goes, what it has learnt stays.
func TestBackoffOutlivesThePeersActor(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.IdleFor = 10 * time.Millisecond })
	bob := person(t)
	call, _ := w.open(bob, nil, here)
	next(t, "dialling", w.dials).fails(errRefused)
	next(t, "answered", call)
	until(t, "the actor has gone", func() bool { return len(w.actors("peer")) == 0 })

	call, _ = w.open(bob, nil, here)
	var backoff *dialplan.BackoffError
	if got := next(t, "answered at once", call); !errors.As(got.err, &backoff) {
		t.Error(got.err)
	}
	call, _ = w.dial(bob, here)
	next(t, "who asks for the dial itself is not put off", w.dials).reaches(bob)
	next(t, "answered", call)
}

// TestAnExplicitDialJoinsOneThatIsPutOff: what was left out of it has its turn after all.
func TestAnExplicitDialJoinsOneThatIsPutOff(t *testing.T) {
	w := newWorld(t)
	bob := person(t)
	w.mu.Lock()
	w.known[bob] = multiaddrs([]string{here})
	w.mu.Unlock()
	call, _ := w.open(bob, nil)
	next(t, "dialling", w.dials).fails(errRefused)
	next(t, "answered", call)

	opens, _ := w.open(bob, nil, there)
	other := next(t, "the open tries another address", w.dials)
	dials, _ := w.dial(bob)
	a := next(t, "the dial tries the one that had failed", w.dials)
	if a.job.Addr.String() != here {
		t.Errorf("dials %v", a.job.Addr)
	}
	a.reaches(bob)
	next(t, "both are answered", opens)
	next(t, "both are answered", dials)
	next(t, "the other attempt stops", other.end)
}

func TestNamesAreResolvedAndGivenUp(t *testing.T) {
	asked, stopped := make(chan ma.Multiaddr, 8), make(chan struct{})
	w := newWorld(t, func(c *Config) {
		c.Resolve = func(ctx context.Context, a ma.Multiaddr) ([]ma.Multiaddr, error) {
			asked <- a
			if n, _ := a.ValueForProtocol(ma.P_DNS4); n == "good.example" {
				return multiaddrs([]string{here}), nil
			}
			<-ctx.Done()
			close(stopped)
			return nil, ctx.Err()
		}
	})
	bob := person(t)
	call, _ := w.dial(bob, "/dns4/good.example/tcp/4001")
	next(t, "asked for the name", asked)
	if a := next(t, "dialling what it stands for", w.dials); a.job.Addr.String() != here {
		t.Error(a.job.Addr)
	} else {
		a.reaches(bob)
	}
	next(t, "answered", call)

	_, cancel := w.dial(person(t), "/dns4/slow.example/tcp/4001")
	next(t, "asked for the name", asked)
	cancel()
	next(t, "given up with the dial", stopped)
}

// TestALinkThatComesTooLateIsClosed: its dial was given up while it was on its way.
func TestALinkThatComesTooLateIsClosed(t *testing.T) {
	w := newWorld(t)
	_, cancel := w.dial(person(t), here)
	a := next(t, "dialling", w.dials)
	cancel()
	next(t, "stopped", a.end)
	l, x := link(a.job.Expect, conduit.Outbound)
	_ = a.job.Owner.Control(&messages.Dialled{Attempt: a.job.Attempt, Link: l})
	next(t, "closed", x.closed)

	_, cancel = w.dial("", here)
	a = next(t, "dialling", w.dials)
	cancel()
	next(t, "stopped", a.end)
	l, x = link(person(t), conduit.Outbound)
	_ = a.job.Owner.Control(&messages.Dialled{Attempt: a.job.Attempt, Link: l})
	next(t, "closed", x.closed)
	if len(w.conns()) > 0 {
		t.Error("it became a connection")
	}
}

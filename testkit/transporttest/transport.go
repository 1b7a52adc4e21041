package transporttest

import (
	"context"
	"errors"
	"testing"

	"github.com/troupe-p2p/troupe/transports/conduit"
)

// Acceptor records what a listener does.
type Acceptor struct {
	board
	conns    []conduit.Conduit
	failed   []error
	degraded []error
}

var _ conduit.AcceptSink = (*Acceptor)(nil)

// Accepted implements conduit.AcceptSink.
func (a *Acceptor) Accepted(c conduit.Conduit) { a.set(func() { a.conns = append(a.conns, c) }) }

// Failed implements conduit.AcceptSink.
func (a *Acceptor) Failed(err error) { a.set(func() { a.failed = append(a.failed, err) }) }

// Degraded implements conduit.AcceptSink.
func (a *Acceptor) Degraded(err error) { a.set(func() { a.degraded = append(a.degraded, err) }) }

// Next waits for the i-th connection, counted from 0.
func (a *Acceptor) Next(t testing.TB, i int) conduit.Conduit {
	t.Helper()
	a.wait(t, "an accepted connection", func() bool { return len(a.conns) > i })
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.conns[i]
}

// WaitDegraded waits for the n-th report that accepting is held back.
func (a *Acceptor) WaitDegraded(t *testing.T, n int) error {
	t.Helper()
	a.wait(t, "Degraded", func() bool { return len(a.degraded) >= n })
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.degraded[n-1]
}

// WaitFailed waits for the end of the listener.
func (a *Acceptor) WaitFailed(t *testing.T) error {
	t.Helper()
	a.wait(t, "Failed", func() bool { return len(a.failed) > 0 })
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failed[0]
}

// Counts says how often each method was called so far.
func (a *Acceptor) Counts() (accepted, failed, degraded int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.conns), len(a.failed), len(a.degraded)
}

// transport tests the promises of conduit.Transport and conduit.Listener.
func transport(t *testing.T, s Subject, muxed bool) {
	type test struct {
		name string
		test func(t *testing.T, s *Subject, tr conduit.Transport)
	}
	all := []test{
		{"it knows its own addresses and no others", trAddresses},
		{"dialler and listener meet", trMeet},
		{"an address is free again when Close returns, and its connections go on", trRebind},
		{"an address is taken once", trTaken},
		{"Close of a listener spares its connections", trCloseSpares},
		{"Close of a listener is idempotent and is no failure", trCloseQuiet},
		{"Close does not wait for a remote that is stuck", trCloseStuck},
		{"a dial to nobody is refused", trRefused},
		{"a dial whose context is over fails with its error", trCancelled},
		{"done is not called by Dial itself", trLater},
		{"a panic of the dialler's callback costs the connection", trPanicDial},
		{"a panic of the listener's owner costs the listener", trPanicAccept},
		{"a thousand connections leave nothing behind", trChurn},
	}
	if muxed {
		all = append(all, test{"a dial for one peer does not reach another", trWrongPeer})
	}
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) { c.test(t, &s, s.node(t, Runtime(t), 1)) })
	}
}

func trAddresses(t *testing.T, s *Subject, tr conduit.Transport) {
	l, _ := Listen(t, tr, s.Listen)
	if !tr.CanListen(s.Listen) || !tr.CanDial(l.Addr()) {
		t.Error("it does not know its own addresses")
	}
	if l.Addr().Equal(s.Listen) {
		t.Errorf("bound to %s, which says nothing", l.Addr())
	}
	if tr.Name() == "" {
		t.Error("it has no name")
	}
	for _, a := range s.Foreign {
		if tr.CanDial(a) || tr.CanListen(a) {
			t.Errorf("it claims %s", a)
		}
		if _, err := tr.Listen(a, &Acceptor{}); err == nil {
			t.Errorf("it listens on %s", a)
		}
		if _, err := Dial(t.Context(), tr, a); err == nil {
			t.Errorf("it dials %s", a)
		}
	}
}

func trMeet(t *testing.T, s *Subject, tr conduit.Transport) {
	a, b := Pair(t, tr, s.Listen)
	if !a.Endpoints().Local.Equal(b.Endpoints().Remote) {
		t.Errorf("%s is not %s", a.Endpoints().Local, b.Endpoints().Remote)
	}
	a.Abandon()
	b.Abandon()
}

func trRebind(t *testing.T, s *Subject, tr conduit.Transport) {
	l, acc := Listen(t, tr, s.Listen)
	type couple struct{ a, b conduit.Conduit }
	var all []couple
	for i := range 50 {
		a, err := Dial(t.Context(), tr, l.Addr())
		if err != nil {
			t.Fatal(err)
		}
		b := acc.Next(t, 0)
		defer a.Abandon()
		defer b.Abandon()
		all = append(all, couple{a, b})
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		acc = &Acceptor{}
		if l, err = tr.Listen(l.Addr(), acc); err != nil {
			t.Fatalf("round %d: %v", i, err)
		}
	}
	_ = l.Close()
	for _, c := range all {
		alive(t, c.a, c.b)
	}
}

func trTaken(t *testing.T, s *Subject, tr conduit.Transport) {
	l, _ := Listen(t, tr, s.Listen)
	if _, err := tr.Listen(l.Addr(), &Acceptor{}); err == nil {
		t.Error("two listeners on one address")
	}
}

func trCloseSpares(t *testing.T, s *Subject, tr conduit.Transport) {
	l, acc := Listen(t, tr, s.Listen)
	a, err := Dial(t.Context(), tr, l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	b := acc.Next(t, 0)
	defer a.Abandon()
	defer b.Abandon()
	_ = l.Close()
	alive(t, a, b)
}

// alive sends something over a connection that has no owners yet.
func alive(t *testing.T, a, b conduit.Conduit) {
	t.Helper()
	const word = "still here"
	if a.Raw != nil {
		w, r := &Sink{}, reader(b.Raw)
		w.bind(a.Raw, 1)
		r.bind(b.Raw, 1)
		send(t, a.Raw, w, []byte(word))
		r.WaitBytes(t, "bytes over the connection", len(word))
		return
	}
	ma, mb := &MuxedSink{}, &MuxedSink{}
	a.Muxed.Bind(ma)
	b.Muxed.Bind(mb)
	st, err := a.Muxed.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	w := &StreamSink{of: ma}
	w.bind(st, 1)
	sendStream(t, st, w, []byte(word))
	_ = st.CloseWrite()
	r := &StreamSink{of: mb}
	r.bind(mb.Next(t, 0), 2)
	if got := r.waitClosed(t); string(got) != word {
		t.Errorf("got %q over the connection", got)
	}
}

func trCloseQuiet(t *testing.T, s *Subject, tr conduit.Transport) {
	l, acc := Listen(t, tr, s.Listen)
	for range 3 {
		if err := l.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if _, err := Dial(t.Context(), tr, l.Addr()); err == nil {
		t.Error("a closed listener was dialled")
	}
	if n, failed, degraded := acc.Counts(); n+failed+degraded > 0 {
		t.Errorf("%d accepted, %d failures, %d degraded", n, failed, degraded)
	}
}

func trRefused(t *testing.T, s *Subject, tr conduit.Transport) {
	l, _ := Listen(t, tr, s.Listen)
	_ = l.Close()
	_, err := Dial(t.Context(), tr, l.Addr())
	if err == nil || !s.Refused(err) {
		t.Errorf("err = %v", err)
	}
}

func trCancelled(t *testing.T, s *Subject, tr conduit.Transport) {
	l, acc := Listen(t, tr, s.Listen)
	why := errors.New("another dial won")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	_, err := Dial(ctx, tr, l.Addr())
	if !errors.Is(err, context.Canceled) || !errors.Is(err, why) {
		t.Errorf("err = %v", err)
	}
	if n, _, _ := acc.Counts(); n > 0 {
		acc.Next(t, 0).Abandon()
	}
}

func trLater(t *testing.T, s *Subject, tr conduit.Transport) {
	l, acc := Listen(t, tr, s.Listen)
	returned := make(chan struct{})
	got := make(chan dialed, 1)
	tr.Dial(t.Context(), l.Addr(), "", func(c conduit.Conduit, err error) {
		<-returned // a call on Dial's own stack would wait here for ever
		got <- dialed{c, err}
	})
	close(returned)
	d := <-got
	if d.err != nil {
		t.Fatal(d.err)
	}
	d.c.Abandon()
	acc.Next(t, 0).Abandon()
}

// trChurn leaves the counting to Runtime.
func trChurn(t *testing.T, s *Subject, tr conduit.Transport) {
	l, acc := Listen(t, tr, s.Listen)
	const rounds, atOnce = 1000, 16
	slots := make(chan struct{}, atOnce)
	var errs board
	var failures []error
	for range rounds {
		slots <- struct{}{}
		tr.Dial(t.Context(), l.Addr(), "", func(c conduit.Conduit, err error) {
			if err != nil {
				errs.set(func() { failures = append(failures, err) })
			}
			if c.Raw != nil {
				(&Sink{}).bind(c.Raw, 1)
			}
			c.Abandon()
			<-slots
		})
	}
	for i := range rounds {
		c := acc.Next(t, i)
		if c.Raw != nil {
			(&Sink{}).bind(c.Raw, 1)
		}
		c.Abandon()
	}
	for range atOnce {
		slots <- struct{}{}
	}
	if len(failures) > 0 {
		t.Errorf("%d dials failed, the first: %v", len(failures), failures[0])
	}
}

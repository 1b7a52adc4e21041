package transporttest

import (
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

// closeLimit is how long an end may take to end, whatever the other one does.
const closeLimit = time.Second

// trCloseStuck closes connections whose remote reads nothing, then their listener. A machine that
// is busy with something else gets three tries.
func trCloseStuck(t *testing.T, s *Subject, tr conduit.Transport) {
	var took time.Duration
	for range 3 {
		l, acc := Listen(t, tr, s.Listen)
		var ends []func()
		for i := range 5 {
			a, err := Dial(t.Context(), tr, l.Addr())
			if err != nil {
				t.Fatal(err)
			}
			b := acc.Next(t, i)
			defer b.Abandon()
			s.Tune(t, a)
			s.Tune(t, b)
			ends = append(ends, stuff(t, a, s.Held))
		}
		began := time.Now()
		for _, end := range ends {
			end()
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if took = time.Since(began); took < closeLimit {
			return
		}
	}
	t.Errorf("closing took %s, want at most %s", took, closeLimit)
}

// stuff gives c what it takes, for a remote that reads nothing. The returned function closes c and
// waits for its end.
func stuff(t *testing.T, c conduit.Conduit, held int) func() {
	data := noise(12, 2*held)
	if c.Raw != nil {
		s := &Sink{}
		s.bind(c.Raw, 1)
		n := fill(t, c.Raw, data)
		c.Raw.Drain(data[n:])
		return func() {
			_ = c.Raw.Close()
			s.wait(t, "Drained and Ended", func() bool { return len(s.drained) == 1 && len(s.ended) == 1 })
		}
	}
	m := &MuxedSink{}
	c.Muxed.Bind(m)
	st, err := c.Muxed.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	s := &StreamSink{of: m}
	s.bind(st, 1)
	for n := 1; n > 0; {
		if n, err = st.TryWrite(data); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		_ = c.Muxed.Close(1, "enough")
		m.waitEnded(t)
		s.waitReset(t)
	}
}

// trWrongPeer dials for a peer that is somebody else. Whatever the listener sees of that ends by
// itself, and the dial for the right peer is not harmed.
func trWrongPeer(t *testing.T, s *Subject, tr conduit.Transport) {
	rt := Runtime(t)
	l, acc := Listen(t, s.node(t, rt, 2), s.Listen)
	id := func(n byte) identity.ID {
		p, err := identity.IDFromKey(Key(n).Public())
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	c, err := DialPeer(t.Context(), tr, l.Addr(), id(3))
	if err == nil {
		c.Abandon()
		t.Error("another peer than the wanted one is as good")
	} else if !s.WrongPeer(err) {
		t.Errorf("err = %v", err)
	}
	if err != nil && (c.Raw != nil || c.Muxed != nil) {
		t.Error("a failed dial yields a connection")
	}
	c, err = DialPeer(t.Context(), tr, l.Addr(), id(2))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abandon()
	if c.Muxed.Peer() != id(2) {
		t.Errorf("reached %s", c.Muxed.Peer())
	}
	m := &MuxedSink{}
	c.Muxed.Bind(m)
	st, err := c.Muxed.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	greet(t, st)
	// The listener may have been handed the first one before the dialler knew whom it had.
	for i, right := 0, false; !right; i++ {
		in, got := acc.Next(t, i), &MuxedSink{}
		defer in.Abandon()
		in.Muxed.Bind(got)
		got.wait(t, "the unwanted connection ends, or this is the wanted one", func() bool {
			right = len(got.streams) > 0
			return right || len(got.ended) > 0
		})
	}
}

package script

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// Channel is what the test speaks on: a connection, or a stream of one. What has come waits until
// a Want takes it.
type Channel struct {
	p     *Peer
	label string
	write func(p []byte) // called with the peer's lock held

	// Guarded by the peer's lock.
	in    []byte
	total int   // bytes that have come
	end   error // why no more comes: io.EOF after an orderly end
}

// Send writes items, in one piece if the layer allows. It does not wait for the remote to read.
func (c *Channel) Send(items ...Item) {
	var b []byte
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	for _, i := range items {
		c.note("-> %s", i)
		b = i.Append(b)
	}
	c.write(b)
}

// Drip writes items byte by byte, one in every interval. It reports false if the remote has ended
// the channel before it was through.
func (c *Channel) Drip(every time.Duration, items ...Item) bool {
	var b []byte
	c.p.mu.Lock()
	for _, i := range items {
		c.note("-> one byte in %s: %s", every, i)
		b = i.Append(b)
	}
	c.p.mu.Unlock()
	for i := range b {
		c.p.mu.Lock()
		c.write(b[i : i+1])
		c.p.mu.Unlock()
		if c.p.runFor(func() bool { return c.end != nil }, every) {
			return false
		}
	}
	return true
}

// Want waits for what the matchers describe, one after another, and takes it. reason says why it
// has to come.
func (c *Channel) Want(reason string, ms ...Matcher) {
	c.p.t.Helper()
	for _, m := range ms {
		c.take(reason, m)
	}
}

// take returns what m has matched.
func (c *Channel) take(reason string, m Matcher) []byte {
	c.p.t.Helper()
	var n int
	var err error
	c.p.run(func() bool {
		n, err = m.Match(c.in)
		return !errors.Is(err, ErrMore) || c.end != nil
	})
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	if err != nil {
		why := err.Error()
		if errors.Is(err, ErrMore) && c.end == nil {
			why = fmt.Sprintf("it did not come within %s", c.p.cfg.Patience)
		} else if errors.Is(err, ErrMore) {
			why = "it did not come before the end: " + c.end.Error()
		}
		c.failLocked(reason, m.String(), m, why)
	}
	got := c.in[:n:n]
	c.in = c.in[n:]
	c.note("<- %s", shown(m, got))
	return got
}

// Peek is Want that leaves what has come where it is, and returns it: for a dialogue that goes on in
// one way or another.
func (c *Channel) Peek(reason string, m Matcher) []byte {
	c.p.t.Helper()
	got := c.take(reason, m)
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	c.in = append(append([]byte(nil), got...), c.in...)
	return got
}

// WantIdle waits for d by the driver's clock, in which nothing may come and the channel may not
// end. What has come before and was not taken counts too, but on a connection with a Mux.
func (c *Channel) WantIdle(reason string, d time.Duration) {
	c.p.t.Helper()
	c.p.mu.Lock()
	before := c.total - len(c.in)
	if c.p.mux != nil && c == &c.p.Channel {
		before = c.total
	}
	c.p.mu.Unlock()
	busy := c.p.runFor(func() bool { return c.total > before || c.end != nil }, d)
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	if !busy {
		c.note("<- nothing for %s", d)
		return
	}
	why := "something came"
	if c.end != nil {
		why = "the remote ended it: " + c.end.Error()
	}
	c.failLocked(reason, fmt.Sprintf("nothing for %s", d), nil, why)
}

// WantEnd waits until the remote ends the channel and returns how: io.EOF in order, *ResetError on
// a stream, another error else. Everything that came before must have been taken, but on a
// connection with a Mux.
func (c *Channel) WantEnd(reason string) error {
	c.p.t.Helper()
	c.p.run(func() bool { return c.end != nil })
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	switch {
	case c.end == nil:
		c.failLocked(reason, "the end", nil, fmt.Sprintf("it did not come within %s", c.p.cfg.Patience))
	case len(c.in) > 0 && (c.p.mux == nil || c != &c.p.Channel):
		c.failLocked(reason, "the end", nil, "something came before it")
	}
	c.note("<- the end: %v", c.end)
	return c.end
}

// Propose is the dialling side of a negotiation for one protocol.
func (c *Channel) Propose(reason, protocol string) {
	c.p.t.Helper()
	c.Send(Header, Protocol(protocol))
	c.Want(reason, Header, Protocol(protocol))
}

// Answer is the listening side.
func (c *Channel) Answer(reason, protocol string) {
	c.p.t.Helper()
	c.Want(reason, Header, Protocol(protocol))
	c.Send(Header, Protocol(protocol))
}

// Received is what has come and was not taken.
func (c *Channel) Received() []byte {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	return append([]byte(nil), c.in...)
}

// Ended says how the remote has ended the channel; nil while it has not.
func (c *Channel) Ended() error {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	return c.end
}

// got and ended are called with the peer's lock held.
func (c *Channel) got(b []byte) {
	c.in = append(c.in, b...)
	c.total += len(b)
}

func (c *Channel) ended(err error) {
	if c.end != nil {
		return
	}
	if err == nil {
		err = io.EOF
	}
	c.end = err
}

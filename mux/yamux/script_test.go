package yamux

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// start is when virtual time begins.
var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// script plays a remote by hand against one session: it sends frames and looks at what comes
// out, with the reason first.
type script struct {
	t   testing.TB
	s   *Session
	now time.Time
	evs []Event  // drained; Data has a copy in P
	out []string // frames written, headers only
}

func newScript(t testing.TB, cfg Config, role Role) *script {
	t.Helper()
	x := &script{t: t, s: New(cfg, role, start), now: start}
	x.want("a session measures the round trip at once", "ping SYN 0 1")
	return x
}

func show(h Header) string {
	text := [...]string{"data", "window", "ping", "goaway"}[h.Type]
	for i, name := range []string{"SYN", "ACK", "FIN", "RST"} {
		if h.Flags&(1<<i) != 0 {
			text += " " + name
		}
	}
	return fmt.Sprintf("%s %d %d", text, h.ID, h.Length)
}

// drain takes events and frames until there are no more.
func (x *script) drain() {
	x.t.Helper()
	for {
		for ev, ok := x.s.Next(); ok; ev, ok = x.s.Next() {
			ev.P = append([]byte(nil), ev.P...)
			x.evs = append(x.evs, ev)
		}
		hdr, body, ok := x.s.NextWrite()
		if !ok {
			return
		}
		h, err := ParseHeader(hdr)
		if err != nil {
			x.t.Fatalf("we wrote a bad header % x: %v", hdr, err)
		}
		if h.Type == TypeData && int(h.Length) != len(body) || h.Type != TypeData && len(body) > 0 {
			x.t.Fatalf("frame %s has a body of %d bytes", show(h), len(body))
		}
		x.out = append(x.out, show(h))
	}
}

// send gives the session a frame and drains it.
func (x *script) send(h Header, body ...string) {
	x.t.Helper()
	x.raw(append(h.Append(nil), strings.Join(body, "")...))
}

func zeros[T int | uint32](n T) string { return strings.Repeat("\x00", int(n)) }

func (x *script) raw(p []byte) {
	x.t.Helper()
	if err := x.s.HandleBytes(x.now, p); err != nil {
		x.t.Fatalf("HandleBytes: %v", err)
	}
	x.drain()
}

// want checks all frames written since the last look.
func (x *script) want(why string, frames ...string) {
	x.t.Helper()
	x.drain()
	if fmt.Sprint(x.out) != fmt.Sprint(frames) {
		x.t.Fatalf("%s: wrote %q, want %q", why, x.out, frames)
	}
	x.out = nil
}

// see checks all events since the last look.
func (x *script) see(why string, events ...string) {
	x.t.Helper()
	x.drain()
	var got []string
	for _, ev := range x.evs {
		got = append(got, showEvent(ev))
	}
	if fmt.Sprint(got) != fmt.Sprint(events) {
		x.t.Fatalf("%s: saw %q, want %q", why, got, events)
	}
	x.evs = nil
}

func showEvent(ev Event) string {
	switch ev.Kind {
	case StreamOpened:
		return fmt.Sprintf("opened %d", ev.ID)
	case StreamAcked:
		return fmt.Sprintf("acked %d", ev.ID)
	case Data:
		return fmt.Sprintf("data %d %q", ev.ID, ev.P)
	case RemoteClosed:
		return fmt.Sprintf("remote closed %d", ev.ID)
	case StreamReset:
		side := "local"
		if ev.Remote {
			side = "remote"
		}
		return fmt.Sprintf("reset %d %#x %s", ev.ID, ev.Code, side)
	case Written:
		return fmt.Sprintf("written %d %d", ev.ID, ev.N)
	case StreamClosed:
		return fmt.Sprintf("closed %d", ev.ID)
	case RemoteGoAway:
		return fmt.Sprintf("goaway %#x", ev.Code)
	case Ended:
		return fmt.Sprintf("ended: %v", ev.Err)
	}
	return fmt.Sprintf("unknown event %d", ev.Kind)
}

// open makes the remote open a stream, which is accepted.
func (x *script) open(id uint32) {
	x.t.Helper()
	x.send(Header{Type: TypeWindowUpdate, Flags: FlagSYN, ID: id})
	x.see("a SYN opens a stream", fmt.Sprintf("opened %d", id))
	x.s.Accept(x.now, id)
	x.want("accepting acknowledges", fmt.Sprintf("window ACK %d 0", id))
}

// dial opens a stream of ours that the remote acknowledges.
func (x *script) dial() uint32 {
	x.t.Helper()
	id, err := x.s.OpenStream(x.now)
	if err != nil {
		x.t.Fatalf("OpenStream: %v", err)
	}
	x.want("an idle open announces itself", fmt.Sprintf("window SYN %d 0", id))
	x.send(Header{Type: TypeWindowUpdate, Flags: FlagACK, ID: id})
	x.see("the acknowledgement is told", fmt.Sprintf("acked %d", id))
	return id
}

func (x *script) pass(d time.Duration) {
	x.now = x.now.Add(d)
	x.s.HandleTimeout(x.now)
}

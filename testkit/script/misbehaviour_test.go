package script_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/negotiation/noise"
	"github.com/troupe-p2p/troupe/testkit/script"
)

func propose(p *script.Peer) { p.Propose("the node speaks noise", noise.ID) }

// wantPatience checks that the node has waited as long as it says, and no longer.
func wantPatience(t *testing.T, p *script.Peer, began time.Time, want time.Duration) {
	t.Helper()
	p.WantEnd("the node's patience ends")
	if took := p.Now().Sub(began); took < want || took > want+2*time.Second {
		t.Errorf("it took %s, want %s\n%s", took, want, p.Dialogue())
	}
}

func TestAPeerThatFallsSilentInAHandshakeLosesItAtTheDeadline(t *testing.T) {
	const patience = 15 * time.Second
	for _, c := range script.Steps() {
		t.Run(c.Name, func(t *testing.T) {
			play(t, nil, func(t *testing.T, s *stage) {
				began := s.d.Now()
				p := s.dial(script.Config{})
				c.Play(p)
				p.WantIdle("it is the peer's turn", patience-time.Second)
				wantPatience(t, p, began, patience)
			})
		})
	}
}

func TestDrippingDoesNotMoveTheDeadline(t *testing.T) {
	play(t, nil, func(t *testing.T, s *stage) {
		began := s.d.Now()
		p := s.dial(script.Config{})
		if p.Drip(time.Second, script.Header, script.Protocol(noise.ID)) {
			t.Error("the node has listened to the end")
		}
		p.Want("it greets when it has heard the header, at most", script.Any(len(p.Received())))
		wantPatience(t, p, began, 15*time.Second)
	})
}

func TestAPeerThatDoesNotReadAHandshakeLosesItAtTheDeadline(t *testing.T) {
	play(t, nil, func(t *testing.T, s *stage) {
		began := s.d.Now()
		p := s.dial(script.Config{Deaf: true})
		p.Send(script.Header)
		p.Drip(time.Second, script.Protocol("/a"), script.Protocol("/b"), script.Protocol("/c"))
		p.Resume()
		p.Want("the node has greeted", script.Header)
		for range p.Now().Sub(began) / time.Second / 4 { // a proposal has four bytes
			p.Want("and has turned every proposal down", script.Protocol("na"))
		}
		wantPatience(t, p, began, 15*time.Second)
	})
}

func TestWhatIsNoHandshakeEndsAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		before func(p *script.Peer)
		say    []script.Item
	}{
		"plain HTTP":               {nil, []script.Item{script.Bytes("GET / HTTP/1.1\r\nHost: x\r\n\r\n")}},
		"a record of TLS":          {nil, []script.Item{script.Bytes("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), script.Garbage(1, 500)}},
		"another version":          {nil, []script.Item{script.Protocol("/multistream/2.0.0")}},
		"a message that is long":   {nil, []script.Item{script.Header, script.Protocol(strings.Repeat("x", 1100))}},
		"a claim of gigabytes":     {nil, []script.Item{script.Header, script.Claim(1 << 40)}},
		"a message without an end": {nil, []script.Item{script.Header, script.Claim(3), script.Bytes("abc")}},
		"garbage for a handshake":  {propose, []script.Item{script.Record(strings.Repeat("g", 32)), script.Record(strings.Repeat("h", 200))}},
		"a handshake of 64 KiB":    {propose, []script.Item{script.Record(strings.Repeat("g", 60_000))}},
		"a handshake of 3 bytes":   {propose, []script.Item{script.Record("abc")}},
		"garbage for a muxer": {func(p *script.Peer) {
			propose(p)
			p.Noise(script.Noise{}).Run("the node proves itself")
		}, []script.Item{script.Bytes("hello, is this a muxer?\n")}},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, nil, func(t *testing.T, s *stage) {
				began := s.d.Now()
				p := s.dial(script.Config{})
				if c.before != nil {
					c.before(p)
				}
				p.Send(c.say...)
				ended := s.d.RunUntil(func() bool { return p.Ended() != nil }, time.Second)
				if took := p.Now().Sub(began); !ended || took > time.Second {
					t.Errorf("not ended after %s\n%s", took, p.Dialogue())
				}
			})
		})
	}
}

func TestASpoiledRecordEndsAnEstablishedConnection(t *testing.T) {
	play(t, nil, func(t *testing.T, s *stage) {
		p, _ := s.up(script.Config{})
		c := p.Conduit()
		if _, err := c.TryWrite(script.Record(strings.Repeat("z", 40)).Append(nil)); err != nil {
			t.Fatal(err)
		}
		p.WantEnd("what does not verify is the end")
	})
}

func TestAPeerThatStopsReadingWhileItAsksIsGivenUp(t *testing.T) {
	play(t, nil, func(t *testing.T, s *stage) {
		s.handle("/flood", func(st *troupe.Stream) {
			_, _ = io.ReadAll(st)
			_, _ = st.Write(make([]byte, 100_000))
		})
		p, m := s.up(script.Config{})
		p.Stall()
		began := p.Now()
		for i := 0; p.Ended() == nil && i < 200; i++ {
			st := m.Open()
			st.Send(script.Header, script.Protocol("/flood"), script.Bytes("please"))
			st.CloseWrite()
			s.d.RunUntil(func() bool { return p.Ended() != nil }, 100*time.Millisecond)
			if _, err := p.Conduit().TryWrite(nil); err != nil {
				break
			}
		}
		p.Resume()
		p.WantEnd("the node gives up on who does not read")
		if took := p.Now().Sub(began); took > 20*time.Second {
			t.Errorf("after %s", took)
		}
	})
}

func TestAStreamThatIsNotReadStopsItsWriterAndNoOther(t *testing.T) {
	play(t, nil, func(t *testing.T, s *stage) {
		s.handle("/source", func(st *troupe.Stream) {
			for {
				if _, err := st.Write(make([]byte, 10_000)); err != nil {
					return
				}
			}
		})
		_, m := s.up(script.Config{})
		st := m.Open()
		st.Stall()
		st.Propose("the node has a source", "/source")
		s.d.RunUntil(func() bool { return false }, time.Second)
		had := len(st.Received())
		if had == 0 || had > window {
			t.Errorf("%d bytes came into a window of 256 KiB", had)
		}
		ping := m.Open()
		ping.Propose("other streams go on", pingID)
		word := script.Bytes(strings.Repeat("p", 32))
		ping.Send(word)
		ping.Want("without a wait", word)
		if n := len(st.Received()); n != had {
			t.Errorf("the first one goes on: %d bytes, then %d", had, n)
		}
		st.Resume()
		st.Want("until it is read again", script.Any(2*window))
	})
}

func ExampleGarbage() {
	fmt.Println(script.Garbage(1, 1000), "and", script.Truncated(script.Header, 5))
	// Output: 1000 bytes of garbage and 5 of 20 bytes of multistream "/multistream/1.0.0"
}

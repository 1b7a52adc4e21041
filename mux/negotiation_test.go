package mux_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/mux"
	"github.com/troupe-p2p/troupe/testkit/muxtest"
)

func TestALazyStreamMayRestForAsLongAsItLikes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := muxtest.NewWorld(t, native, muxtest.Setup{Config: mux.Config{NegotiateTimeout: time.Second}})
		w.B.Handle("/echo", muxtest.EchoByTask)
		s := w.A.Open("/echo")
		muxtest.Elapse(900 * time.Millisecond) // the remote gives it a second
		w.Exchange(s, 1, 10, 10)
		quiet := w.A.Open("/echo")
		muxtest.Elapse(time.Hour)
		var reset *mux.ResetError
		if err := quiet.Err(); !errors.As(err, &reset) || !reset.Remote {
			t.Fatal("only the remote may lose muxtest.Patience, but:", err)
		}
	})
}

func TestNegotiationThatIsNoneIsReset(t *testing.T) {
	endless := propose("/a")
	for range 100 {
		endless = append(endless, propose("/a")[20:]...)
	}
	both(t, func(t *testing.T, k muxtest.Subject) {
		w := muxtest.NewWorld(t, k, muxtest.Setup{Bare: true})
		r := newRemote(w)
		for name, p := range map[string][]byte{
			"garbage":           []byte("GET / HTTP/1.1\r\nHost: " + strings.Repeat("x", 80)),
			"a huge length":     {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
			"no newline":        []byte("\x13/multistream/1.0.0x"),
			"another version":   []byte("\x13/multistream/2.0.0\n"),
			"endless proposals": endless,
		} {
			h := r.open(t)
			h.write(p)
			h.wantReset(t, name, mux.CodeNegotiation)
		}
		for name, p := range map[string][]byte{"nothing": nil, "half a word": []byte("\x13/multi")} {
			h := r.open(t)
			if p != nil {
				h.write(p)
			}
			h.finish()
			h.wantReset(t, "the end after "+name, mux.CodeNegotiation)
		}
		if n := w.B.Count("stream"); n != 0 {
			t.Errorf("%d actors were spawned for nothing", n)
		}
	})
}

func TestNegotiationHasADeadlineThatDrippingDoesNotMove(t *testing.T) {
	for _, k := range kinds {
		synctest.Test(t, func(t *testing.T) {
			w := muxtest.NewWorld(t, k, muxtest.Setup{Bare: true})
			r := newRemote(w)
			start := time.Now()
			silent, drip := r.open(t), r.open(t)
			for _, c := range propose("/a") {
				drip.write([]byte{c})
				muxtest.Elapse(time.Second)
			}
			for _, h := range []*hand{silent, drip} {
				h.wantReset(t, "no agreement in time", mux.CodeNegotiation)
			}
			if d := time.Since(start); d < 10*time.Second {
				t.Fatalf("ended after %v", d)
			}
		})
	}
}

func TestADiallerIsToldHowItsNegotiationFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := muxtest.NewWorld(t, raw, muxtest.Setup{Bare: true})
		r := newYamuxRemote(w)
		answer := func(p string, fin bool) error {
			got := make(chan error, 1)
			w.Runtime.Pump("open", func() {
				_, err := w.B.Ask(messages.OpenStream{Protocols: []string{"/a"}, Confirm: true})
				got <- err
			}, nil)
			synctest.Wait()
			r.do(func() {
				id := uint32(r.last)
				if p != "" {
					_ = r.core.Write(time.Now(), id, []byte(p))
				}
				if fin {
					_ = r.core.CloseWrite(time.Now(), id)
				}
			})
			return muxtest.Within(t, "the answer", got)
		}
		for _, c := range []struct {
			name, bytes string
			fin         bool
			text        string
		}{
			{"no", "\x13/multistream/1.0.0\n\x03na\n", false, "supports none"},
			{"something else", "\x13/multistream/1.0.0\n\x03/b\n", false, "was answered by"},
			{"garbage", "HTTP/1.1 400 " + strings.Repeat("x", 100), false, "multistream"},
			{"an end", "\x13/multistream/1.0.0\n", true, "closed before"},
			{"nothing", "", false, "in time"},
		} {
			err := answer(c.bytes, c.fin)
			var ne *mux.NegotiationError
			if !errors.As(err, &ne) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	})
}

func TestAFloodOfStreamsCostsNoActors(t *testing.T) {
	both(t, func(t *testing.T, k muxtest.Subject) {
		w := muxtest.NewWorld(t, k, muxtest.Setup{Bare: true, Streams: 10})
		r := newRemote(w)
		var hands []*hand
		for range 200 {
			hands = append(hands, r.open(t))
		}
		for i, h := range hands[10:] {
			h.wantReset(t, fmt.Sprintf("stream %d is one too many", i+10), mux.CodeResourceLimit)
		}
		if used, _ := w.B.Streams.Used(); used != 10 {
			t.Errorf("%d streams on the books", used)
		}
		if n := w.B.Count("stream"); n != 0 {
			t.Errorf("%d actors for streams without a protocol", n)
		}
		w.B.Handle("/echo", muxtest.EchoByActor)
		hands[0].write(propose("/echo"))
		hands[0].wantBytes(t, "an early stream is served", agreement("/echo"))
		hands[1].abandon(0)
		w.Eventually("an ended stream makes room", func() bool {
			used, _ := w.B.Streams.Used()
			return used == 9
		})
		if _, err := w.B.Ask(messages.OpenStream{Protocols: []string{"/x"}}); err != nil {
			t.Error("room for one of ours:", err)
		}
		_, err := w.B.Ask(messages.OpenStream{Protocols: []string{"/x"}})
		if err == nil || !strings.Contains(err.Error(), "limit streams") {
			t.Error("one of ours too many:", err)
		}
	})
}

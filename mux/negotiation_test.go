package mux_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/mux"
	"github.com/troupe-p2p/troupe/negotiation/multistream"
	"github.com/troupe-p2p/troupe/stream"
)

func TestAnUnsupportedProtocolShowsOnFirstUseAfterTheAnswer(t *testing.T) {
	uses := map[string]func(s *stream.Blocking) error{
		"Read": func(s *stream.Blocking) error {
			_, err := s.Read(make([]byte, 1))
			return err
		},
		"Write and Read": func(s *stream.Blocking) error {
			_, _ = s.Write([]byte("hello"))
			_, err := s.Read(make([]byte, 1))
			return err
		},
		"Write until it fails": func(s *stream.Blocking) error {
			for {
				if _, err := s.Write(make([]byte, 1000)); err != nil {
					return err
				}
			}
		},
		"Close": func(s *stream.Blocking) error { return s.Close() },
		"Write and Close": func(s *stream.Blocking) error {
			_, _ = s.Write([]byte("hello"))
			return s.Close()
		},
		"CloseWrite and Read": func(s *stream.Blocking) error {
			_ = s.CloseWrite()
			_, err := s.Read(make([]byte, 1))
			return err
		},
	}
	both(t, func(t *testing.T, k kind) {
		w := newWorld(t, k, setup{})
		for name, use := range uses {
			err := use(w.a.open("/nobody/speaks/this"))
			var ne *mux.NegotiationError
			if !errors.Is(err, multistream.ErrNotSupported) || !errors.As(err, &ne) || len(ne.Protocols) != 1 {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestConfirmWaitsForTheAnswer(t *testing.T) {
	both(t, func(t *testing.T, k kind) {
		w := newWorld(t, k, setup{})
		w.b.handle("/echo", echoByTask)
		if _, err := w.a.ask(messages.OpenStream{Protocols: []string{"/no"}, Confirm: true}); !errors.Is(err, multistream.ErrNotSupported) {
			t.Error("an unknown protocol:", err)
		}
		if _, err := w.a.ask(messages.OpenStream{Protocols: []string{"/no", "/nay"}}); !errors.Is(err, multistream.ErrNotSupported) {
			t.Error("two unknown protocols:", err)
		}
		st, err := w.a.ask(messages.OpenStream{Protocols: []string{"/no", "/echo", "/nay"}})
		if err != nil || st.Protocol() != "/echo" {
			t.Fatalf("the second of three: %v, %v", st, err)
		}
		exchange(t, w, st.Blocking(), 1, 100_000, 1000)
		for _, p := range [][]string{nil, {""}, {"na"}, {"a\nb"}, {strings.Repeat("x", 2000)}} {
			if _, err := w.a.ask(messages.OpenStream{Protocols: p}); !errors.Is(err, multistream.ErrName) {
				t.Errorf("%q: %v", p, err)
			}
		}
	})
}

func TestCloseWaitsForTheAnswerOfALazyOpen(t *testing.T) {
	both(t, func(t *testing.T, k kind) {
		w := newWorld(t, k, setup{})
		got := make(chan string, 1)
		w.b.handle("/sink", runHandler(func(_ ctx, s *stream.Blocking) {
			b, _ := io.ReadAll(s)
			got <- string(b)
		}))
		s := w.a.open("/sink")
		if _, err := s.Write([]byte("last words")); err != nil {
			t.Fatal(err)
		}
		gather(w, 3, func(int) { // whoever closes gets the answer
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		if b := within(t, "the handler reads to the end", got); b != "last words" {
			t.Fatalf("%q", b)
		}
		if _, err := s.Read(make([]byte, 1)); !errors.Is(err, stream.ErrClosed) {
			t.Fatal("Read after Close:", err)
		}
		if _, err := s.Write([]byte("x")); !errors.Is(err, stream.ErrClosed) {
			t.Fatal("Write after Close:", err)
		}
	})
}

func TestCloseReadBeforeTheAnswerDoesNotLoseTheAnswer(t *testing.T) {
	both(t, func(t *testing.T, k kind) {
		w := newWorld(t, k, setup{})
		w.b.handle("/echo", echoByActor)
		s := w.a.open("/echo")
		_ = s.CloseRead()
		if _, err := s.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		<-s.Context().Done()
		if err := s.Err(); err != nil {
			t.Fatal("the stream ends in order, but says:", err)
		}
	})
}

func TestALazyStreamMayRestForAsLongAsItLikes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, native, setup{cfg: mux.Config{NegotiateTimeout: time.Second}})
		w.b.handle("/echo", echoByTask)
		s := w.a.open("/echo")
		time.Sleep(900 * time.Millisecond) // virtual; the remote gives it a second
		exchange(t, w, s, 1, 10, 10)
		quiet := w.a.open("/echo")
		time.Sleep(time.Hour)
		synctest.Wait()
		var reset *mux.ResetError
		if err := quiet.Err(); !errors.As(err, &reset) || !reset.Remote {
			t.Fatal("only the remote may lose patience, but:", err)
		}
	})
}

func TestNegotiationThatIsNoneIsReset(t *testing.T) {
	endless := propose("/a")
	for range 100 {
		endless = append(endless, propose("/a")[20:]...)
	}
	both(t, func(t *testing.T, k kind) {
		w := newWorld(t, k, setup{bare: true})
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
		if n := w.b.count("stream"); n != 0 {
			t.Errorf("%d actors were spawned for nothing", n)
		}
	})
}

func TestNegotiationHasADeadlineThatDrippingDoesNotMove(t *testing.T) {
	for _, k := range kinds {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, k, setup{bare: true})
			r := newRemote(w)
			start := time.Now()
			silent, drip := r.open(t), r.open(t)
			for _, c := range propose("/a") {
				drip.write([]byte{c})
				time.Sleep(time.Second)
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
		w := newWorld(t, raw, setup{bare: true})
		r := newYamuxRemote(w)
		answer := func(p string, fin bool) error {
			got := make(chan error, 1)
			w.rt.Pump("open", func() {
				_, err := w.b.ask(messages.OpenStream{Protocols: []string{"/a"}, Confirm: true})
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
			return within(t, "the answer", got)
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
	both(t, func(t *testing.T, k kind) {
		w := newWorld(t, k, setup{bare: true, streams: 10})
		r := newRemote(w)
		var hands []*hand
		for range 200 {
			hands = append(hands, r.open(t))
		}
		for i, h := range hands[10:] {
			h.wantReset(t, fmt.Sprintf("stream %d is one too many", i+10), mux.CodeResourceLimit)
		}
		if used, _ := w.b.streams.Used(); used != 10 {
			t.Errorf("%d streams on the books", used)
		}
		if n := w.b.count("stream"); n != 0 {
			t.Errorf("%d actors for streams without a protocol", n)
		}
		w.b.handle("/echo", echoByActor)
		hands[0].write(propose("/echo"))
		hands[0].wantBytes(t, "an early stream is served", agreement("/echo"))
		hands[1].abandon(0)
		w.eventually("an ended stream makes room", func() bool {
			used, _ := w.b.streams.Used()
			return used == 9
		})
		if _, err := w.b.ask(messages.OpenStream{Protocols: []string{"/x"}}); err != nil {
			t.Error("room for one of ours:", err)
		}
		_, err := w.b.ask(messages.OpenStream{Protocols: []string{"/x"}})
		if err == nil || !strings.Contains(err.Error(), "limit streams") {
			t.Error("one of ours too many:", err)
		}
	})
}

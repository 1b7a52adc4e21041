package muxtest

import (
	"errors"
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

var negotiationTests = []test{
	{"an unsupported protocol shows on the first use after the answer", anUnsupportedProtocolShows},
	{"Confirm waits for the answer", confirmWaitsForTheAnswer},
	{"Close waits for the answer of a lazy open", closeWaitsForTheAnswerOfALazyOpen},
	{"CloseRead before the answer does not lose it", closeReadBeforeTheAnswer},
	{"a lazy stream may rest for as long as it likes", aLazyStreamMayRest},
}

func anUnsupportedProtocolShows(t *testing.T, k Subject) {
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
	w := NewWorld(t, k, Setup{})
	for name, use := range uses {
		err := use(w.A.Open("/nobody/speaks/this"))
		var ne *mux.NegotiationError
		if !errors.Is(err, multistream.ErrNotSupported) || !errors.As(err, &ne) || len(ne.Protocols) != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func confirmWaitsForTheAnswer(t *testing.T, k Subject) {
	w := NewWorld(t, k, Setup{})
	w.B.Handle("/echo", EchoByTask)
	if _, err := w.A.Ask(messages.OpenStream{Protocols: []string{"/no"}, Confirm: true}); !errors.Is(err, multistream.ErrNotSupported) {
		t.Error("an unknown protocol:", err)
	}
	if _, err := w.A.Ask(messages.OpenStream{Protocols: []string{"/no", "/nay"}}); !errors.Is(err, multistream.ErrNotSupported) {
		t.Error("two unknown protocols:", err)
	}
	st, err := w.A.Ask(messages.OpenStream{Protocols: []string{"/no", "/echo", "/nay"}})
	if err != nil || st.Protocol() != "/echo" {
		t.Fatalf("the second of three: %v, %v", st, err)
	}
	w.Exchange(st.Blocking(), 1, 100_000, 1000)
	for _, p := range [][]string{nil, {""}, {"na"}, {"a\nb"}, {strings.Repeat("x", 2000)}} {
		if _, err := w.A.Ask(messages.OpenStream{Protocols: p}); !errors.Is(err, multistream.ErrName) {
			t.Errorf("%q: %v", p, err)
		}
	}
}

func closeWaitsForTheAnswerOfALazyOpen(t *testing.T, k Subject) {
	w := NewWorld(t, k, Setup{})
	got := make(chan string, 1)
	w.B.Handle("/sink", RunHandler(func(_ ctx, s *stream.Blocking) {
		b, _ := io.ReadAll(s)
		got <- string(b)
	}))
	s := w.A.Open("/sink")
	if _, err := s.Write([]byte("last words")); err != nil {
		t.Fatal(err)
	}
	w.Gather(3, func(int) { // whoever closes gets the answer
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if b := Within(t, "the handler reads to the end", got); b != "last words" {
		t.Fatalf("%q", b)
	}
	if _, err := s.Read(make([]byte, 1)); !errors.Is(err, stream.ErrClosed) {
		t.Fatal("Read after Close:", err)
	}
	if _, err := s.Write([]byte("x")); !errors.Is(err, stream.ErrClosed) {
		t.Fatal("Write after Close:", err)
	}
}

func closeReadBeforeTheAnswer(t *testing.T, k Subject) {
	w := NewWorld(t, k, Setup{})
	w.B.Handle("/echo", EchoByActor)
	s := w.A.Open("/echo")
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
}

// aLazyStreamMayRest: nobody counts the time before the first byte of a stream that was opened
// lazily against the one who opened it. The remote may lose its patience with what it has seen.
func aLazyStreamMayRest(t *testing.T, k Subject) {
	timed(t, k, func(t *testing.T) {
		w := NewWorld(t, k, Setup{Config: mux.Config{NegotiateTimeout: time.Second}})
		w.B.Handle("/echo", EchoByTask)
		s := w.A.Open("/echo")
		<-time.After(900 * time.Millisecond)
		w.Exchange(s, 1, 10, 10)
		quiet := w.A.Open("/echo")
		<-time.After(2 * time.Second)
		var reset *mux.ResetError
		if err := quiet.Err(); err != nil && (!errors.As(err, &reset) || !reset.Remote) {
			t.Fatal("only the remote may lose patience, but:", err)
		}
		_ = quiet.Reset(0)
	})
}

// timed runs a test in the virtual time of a bubble, if the subject can live there.
func timed(t *testing.T, k Subject, test func(t *testing.T)) {
	if k.Real {
		test(t)
		return
	}
	synctest.Test(t, test)
}

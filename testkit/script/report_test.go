package script_test

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/mux/yamux"
	"github.com/troupe-p2p/troupe/testkit/script"
	"github.com/troupe-p2p/troupe/transports/memory"

	ma "github.com/multiformats/go-multiaddr"
)

// couple is two scripted peers that speak to each other in a simulation.
func couple(t testing.TB, seed uint64) (sim *actors.Simulation, dialler, listener *script.Peer) {
	t.Helper()
	sim = actors.Simulated(seed, actors.SimOptions{})
	tr := memory.New(sim.Runtime(), memory.Config{})
	l := script.Listen(t, sim, tr, ma.StringCast("/memory/1"), script.Config{Name: "bob", Patience: 10 * time.Second})
	a := script.Dial(t, sim, tr, l.Addr(), script.Config{Name: "alice", Patience: 10 * time.Second})
	return sim, a, l.Accept("alice dials")
}

// failing is a test that may fail without ours failing.
type failing struct {
	testing.TB
	text string
}

func (*failing) Helper()          {}
func (*failing) Cleanup(f func()) {}
func (f *failing) Fatal(args ...any) {
	f.text = fmt.Sprint(args...)
	runtime.Goexit()
}

// fails returns the report of a dialogue that fails.
func fails(t *testing.T, dialogue func(tb testing.TB)) string {
	t.Helper()
	f := &failing{TB: t}
	done := make(chan bool)
	go func() {
		ok := false
		defer func() { done <- ok }()
		dialogue(f)
		ok = true
	}()
	if <-done {
		t.Fatal("the dialogue did not fail")
	}
	return f.text
}

func TestAFailureSaysWhatWasWantedAndWhatCame(t *testing.T) {
	for name, c := range map[string]struct {
		dialogue func(alice, bob *script.Peer)
		words    []string
	}{
		"something else comes": {
			func(alice, bob *script.Peer) {
				alice.Send(script.Header, script.Protocol("/tls/1.0.0"))
				bob.Want("everybody speaks noise", script.Header, script.Protocol("/noise"))
			},
			[]string{
				"bob: everybody speaks noise", `wanted: multistream "/noise"`, `it is multistream "/tls/1.0.0"`,
				"2f 74 6c 73", `bob <- multistream "/multistream/1.0.0"`, "12 bytes",
			},
		},
		"nothing comes": {
			func(_, bob *script.Peer) { bob.Want("somebody has to begin", script.Header) },
			[]string{"somebody has to begin", "did not come within 10s", "came:   nothing"},
		},
		"the end comes": {
			func(alice, bob *script.Peer) { alice.Close(); bob.Want("alice stays", script.Header) },
			[]string{"before the end: EOF", "ended:  EOF"},
		},
		"something comes that should not": {
			func(alice, bob *script.Peer) {
				alice.Send(script.Bytes("psst"))
				bob.WantIdle("nobody speaks", time.Second)
			},
			[]string{"nobody speaks", "wanted: nothing for 1s", "something came", "70 73 73 74"},
		},
		"bytes before the end": {
			func(alice, bob *script.Peer) {
				alice.Send(script.Bytes("wait"))
				_ = alice.Conduit()
				bob.Want("a word", script.Bytes("wa"))
				alice.Close()
				bob.WantEnd("alice leaves without a word")
			},
			[]string{"leaves without a word", "something came before it", "69 74"},
		},
		"the wrong frame": {
			func(alice, bob *script.Peer) {
				alice.Send(script.Ping(yamux.FlagSYN, 1), script.Data(1, yamux.FlagSYN, "hi"))
				bob.Want("the session ends", script.Later(script.GoAway(0)))
			},
			[]string{"goaway 0x0, sooner or later", `ping SYN 0x1, data SYN stream 1 0x2 "hi"`},
		},
		"a bad handshake": {
			func(alice, bob *script.Peer) {
				alice.Send(script.Record(strings.Repeat("x", 31)))
				bob.Noise(script.Noise{}).Want("alice knows noise")
			},
			[]string{"alice knows noise", "wanted: a good handshake message", "noise handshake failed"},
		},
		"what is not read is not taken": {
			func(alice, bob *script.Peer) {
				bob.Stall()
				alice.Send(script.Garbage(1, 1<<20))
				alice.WantSent("bob reads")
			},
			[]string{"alice: bob reads", "it does not"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			text := fails(t, func(tb testing.TB) {
				_, a, b := couple(tb, 1)
				c.dialogue(a, b)
			})
			for _, w := range c.words {
				if !strings.Contains(text, w) {
					t.Errorf("it does not say %q:\n%s", w, text)
				}
			}
		})
	}
}

// speak is a whole conversation of two peers; it returns what was said.
func speak(t *testing.T, seed uint64, bobKey identity.PrivateKey) string {
	_, a, b := couple(t, seed)
	a.Send(script.Header, script.Protocol("/noise"))
	b.Answer("alice wants noise", "/noise")
	a.Want("bob agrees", script.Header, script.Protocol("/noise"))
	ha, hb := a.Noise(script.Noise{Expect: id(t, bobKey)}), b.Noise(script.Noise{Key: bobKey})
	ha.Send()
	hb.Want("alice's key")
	hb.Send()
	ha.Want("bob's proof")
	ha.Send()
	hb.Want("alice's proof")
	if ha.Run("all is said") != id(t, bobKey) {
		t.Error("alice has somebody else")
	}
	ma, mb := a.Mux(), b.Mux()
	sa := ma.Open()
	sa.Send(script.Header, script.Protocol("/chat"), script.Bytes("hello"))
	sb := mb.Accept("alice opens a stream")
	sb.Answer("for a chat", "/chat")
	sb.Want("and says hello", script.Bytes("hello"))
	sb.Send(script.Garbage(1, 1<<20))
	sa.Want("bob knows chats", script.Header, script.Protocol("/chat"))
	sa.Want("bob is talkative", script.Any(1<<20))
	sa.CloseWrite()
	if err := sb.WantEnd("alice has heard enough"); err != io.EOF {
		t.Error(err)
	}
	sb.Reset(7)
	sa.WantReset("bob is offended", 7)
	ma.GoAway(3)
	b.Want("alice leaves", script.Later(script.GoAway(3)))
	return a.Dialogue() + "\n" + b.Dialogue()
}

func TestTwoPeersSpeakAndTheSameSeedSpeaksTheSame(t *testing.T) {
	for seed := range uint64(10) {
		if one, two := speak(t, seed, key(t, 5)), speak(t, seed, key(t, 5)); one != two {
			t.Fatalf("seed %d:\n%s\n\n%s", seed, one, two)
		}
	}
}

func TestLiveLooksAgainWhenAPeerHasSeenSomething(t *testing.T) {
	d := script.Live()
	if d.RunUntil(func() bool { return false }, time.Millisecond) {
		t.Error("what never holds holds")
	}
	if !d.RunUntil(func() bool { return true }, 0) {
		t.Error("what holds does not")
	}
	rt := actors.Live(actors.Options{})
	t.Cleanup(func() {
		ctx, cancel := rt.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if left := rt.Close(ctx); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
	tr := memory.New(rt, memory.Config{})
	l := script.Listen(t, d, tr, ma.StringCast("/memory/1"), script.Config{})
	a := script.Dial(t, d, tr, l.Addr(), script.Config{})
	b := l.Accept("a dials")
	began := d.Now()
	for range 1000 {
		a.Send(script.Bytes("x"))
		b.Want("it comes", script.Bytes("x"))
	}
	if took := d.Now().Sub(began); took > 30*time.Second {
		t.Errorf("a thousand words took %s", took)
	}
}

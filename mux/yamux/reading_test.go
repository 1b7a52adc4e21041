package yamux

import (
	"errors"
	"testing"
	"time"
)

// busy returns a server that has answered its first ping, with stream 1 open and data under way.
func busy(t *testing.T, cfg Config) *script {
	x := newScript(t, cfg, Server)
	x.send(Header{Type: TypePing, Flags: FlagACK, Length: 1})
	x.open(1)
	x.ask()
	return x
}

// ask is a request of the remote's, with our answer.
func (x *script) ask() {
	x.t.Helper()
	x.send(Header{Type: TypeData, ID: 1, Length: 1}, "?")
	x.s.Consumed(x.now, 1, 1)
	if err := x.s.Write(x.now, 1, []byte("!")); err != nil {
		x.t.Fatal(err)
	}
	x.drain()
	x.evs, x.out = nil, nil
}

func TestAnActiveRemoteThatDoesNotReadIsEndedInFifteenSeconds(t *testing.T) {
	x := busy(t, Config{})
	begun := x.now
	for range 4 {
		x.pass(time.Second)
		x.ask()
	}
	x.pass(time.Second)
	x.want("after five seconds of traffic a ping asks for a proof", "ping SYN 0 2")
	for range 9 {
		x.pass(time.Second)
		x.ask()
	}
	x.see("nine seconds later there is still hope")
	x.pass(time.Second)
	x.see("ten seconds later there is none", "ended: yamux: limit: remote causes replies and does not read them", "closed 1")
	x.want("and the remote is told, should it read after all", "goaway 0 4097")
	if d := x.now.Sub(begun); d != 15*time.Second || !errors.Is(x.s.Err(), ErrNotReading) {
		t.Fatalf("after %v: %v", d, x.s.Err())
	}
}

func TestProofsThatTheRemoteReadsPutTheEndOff(t *testing.T) {
	for name, prove := range map[string]func(x *script){
		"an answer to a ping": func(x *script) {
			x.send(Header{Type: TypePing, Flags: FlagACK, Length: x.s.ping.opaque})
		},
		"credit": func(x *script) {
			x.send(Header{Type: TypeWindowUpdate, ID: 1, Length: 1})
		},
		"an acknowledgement": func(x *script) {
			id, err := x.s.OpenStream(x.now)
			if err != nil {
				x.t.Fatal(err)
			}
			x.drain()
			x.send(Header{Type: TypeWindowUpdate, Flags: FlagACK, ID: id})
		},
		"room in the conduit": func(x *script) { x.s.HandleDrained(x.now) },
	} {
		x := busy(t, Config{})
		for range 100 {
			for range 7 {
				x.pass(time.Second)
				x.ask()
			}
			prove(x)
		}
		if err := x.s.Err(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatProvesNothing(t *testing.T) {
	for name, frame := range map[string]Header{
		"a ping":                   {Type: TypePing, Flags: FlagSYN},
		"an answer to no ping":     {Type: TypePing, Flags: FlagACK, Length: 77},
		"credit of nothing":        {Type: TypeWindowUpdate, ID: 1},
		"credit for another":       {Type: TypeWindowUpdate, ID: 3, Length: 1},
		"credit for nothing given": {Type: TypeWindowUpdate, ID: 5, Length: 1},
	} {
		x := busy(t, Config{})
		x.open(5) // to which nothing is sent
		begun := x.now
		for x.s.Err() == nil && x.now.Sub(begun) < time.Minute {
			x.pass(time.Second)
			if x.s.Err() == nil {
				x.ask()
				x.send(frame)
			}
		}
		if d := x.now.Sub(begun); !errors.Is(x.s.Err(), ErrNotReading) || d > 15*time.Second {
			t.Errorf("%s: %v after %v", name, x.s.Err(), d)
		}
	}
}

func TestNobodyIsAskedForAProofWithoutNeed(t *testing.T) {
	t.Run("nothing was sent", func(t *testing.T) {
		x := busy(t, Config{})
		x.send(Header{Type: TypeWindowUpdate, ID: 1, Length: 1})
		for range 20 {
			x.pass(time.Second)
			x.send(Header{Type: TypeData, ID: 1, Length: 1}, ".")
			x.want("there is nothing that could pile up")
		}
	})
	t.Run("a rest in between", func(t *testing.T) {
		x := busy(t, Config{})
		x.send(Header{Type: TypeWindowUpdate, ID: 1, Length: 1})
		x.pass(20 * time.Second)
		x.ask()
		x.want("the doubt begins with the request")
		x.pass(5*time.Second - 1)
		x.want("and lasts five seconds")
		x.pass(1)
		x.want("until it is settled", "ping SYN 0 2")
	})
	t.Run("turned off", func(t *testing.T) {
		x := busy(t, Config{ActivePing: -1})
		for range 60 {
			x.pass(time.Second)
			x.ask()
		}
		x.see("nothing happens")
		if due, ok := x.s.Deadline(); !ok || due != x.now.Add(DefaultKeepAlive) {
			t.Fatalf("due %v %v", due, ok)
		}
	})
	t.Run("without keep-alive", func(t *testing.T) {
		x := busy(t, Config{KeepAlive: -1})
		x.pass(5 * time.Second)
		x.want("it is another matter", "ping SYN 0 2")
		x.pass(10 * time.Second)
		if !errors.Is(x.s.Err(), ErrNotReading) {
			t.Fatal(x.s.Err())
		}
	})
}

func TestARefusedGrowthIsToldOnce(t *testing.T) {
	const rtt = 50 * time.Millisecond
	x := measured(t, Config{MaxWindow: 4 * ProtocolWindow}, rtt)
	x.s.SetWindowBudget(0)
	grow := func() {
		x.now = x.now.Add(rtt)
		x.fill(1, granted(x, 1))
	}
	grow()
	if n := x.s.WindowShortage(); n != ProtocolWindow {
		t.Fatalf("short of %d, want a window", n)
	}
	if n := x.s.WindowShortage(); n != 0 {
		t.Fatalf("short of %d once more", n)
	}
	x.s.SetWindowBudget(ProtocolWindow / 2) // what it allows is there at once
	if n, w := x.s.WindowShortage(), window(x, 1); n != ProtocolWindow/2 || w != 3*ProtocolWindow/2 {
		t.Fatalf("short of %d with a window of %d, want half a window and one and a half", n, w)
	}
	grow()
	if n := x.s.WindowShortage(); n != 3*ProtocolWindow/2 {
		t.Fatalf("short of %d, want one and a half", n)
	}
	x.s.SetWindowBudget(100 * ProtocolWindow)
	for range 5 {
		grow()
	}
	if n, w := x.s.WindowShortage(), window(x, 1); n != 0 || w != 4*ProtocolWindow {
		t.Fatalf("short of %d with a window of %d: MaxWindow is no shortage", n, w)
	}
}

package pingcore

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// counter is a predictable source of payloads.
type counter byte

func (c *counter) Read(p []byte) (int, error) {
	for i := range p {
		*c++
		p[i] = byte(*c)
	}
	return len(p), nil
}

type noRand struct{}

func (noRand) Read([]byte) (int, error) { return 0, errors.New("local: no randomness") }

// pair is a dialer and a listener with delay between them, in virtual time.
type pair struct {
	t     *testing.T
	now   time.Time
	delay time.Duration
	rand  counter
	dial  *Pinger
	serve *Responder
}

func newPair(t *testing.T, delay time.Duration) *pair {
	return &pair{t: t, now: epoch, delay: delay, dial: NewPinger(Config{}), serve: NewResponder(Config{}, epoch)}
}

// exchange carries the dialer's output over and the answer back, chunk bytes at a time.
func (p *pair) exchange(chunk int) {
	p.t.Helper()
	out := p.dial.AppendOutput(nil)
	p.now = p.now.Add(p.delay)
	var back []byte
	for len(out) > 0 {
		n := min(chunk, len(out))
		if err := p.serve.HandleBytes(p.now, out[:n]); err != nil {
			p.t.Fatalf("listener: %v", err)
		}
		back, out = p.serve.AppendOutput(back), out[n:]
	}
	p.now = p.now.Add(p.delay)
	for len(back) > 0 {
		n := min(chunk, len(back))
		if err := p.dial.HandleBytes(p.now, back[:n]); err != nil {
			p.t.Fatalf("dialer: %v", err)
		}
		back = back[n:]
	}
}

func TestPingsOnOneStreamMeasureTheRoundTripHoweverTheBytesAreCut(t *testing.T) {
	for _, chunk := range []int{1, 7, 31, 32, 64} {
		p := newPair(t, 20*time.Millisecond)
		for seq := 1; seq <= 5; seq++ {
			if err := p.dial.Ping(p.now, &p.rand); err != nil {
				t.Fatal(err)
			}
			if err := p.dial.Ping(p.now, &p.rand); !errors.Is(err, ErrBusy) {
				t.Fatalf("second ping at once: %v, want %v", err, ErrBusy)
			}
			p.exchange(chunk)
			e, ok := p.dial.Next()
			if pong, _ := e.(Pong); !ok || pong != (Pong{Seq: seq, RTT: 40 * time.Millisecond}) {
				t.Fatalf("chunk %d: event %#v, want pong %d after 40 ms", chunk, e, seq)
			}
			if _, ok := p.dial.Deadline(); ok {
				t.Fatal("a deadline without a ping under way")
			}
		}
		if err := p.serve.HandleEnd(); err != nil || !p.serve.Done() {
			t.Fatalf("listener after the dialer's end: err %v, done %v", err, p.serve.Done())
		}
		if _, ok := p.serve.Deadline(); ok {
			t.Fatal("listener that is done has a deadline")
		}
	}
}

func TestPingerBlamesTheRightSide(t *testing.T) {
	for _, c := range []struct {
		name string
		play func(p *Pinger, sent []byte) error
		want error
		seq  int
	}{
		{"wrong byte", func(p *Pinger, sent []byte) error {
			sent[31] ^= 1
			return p.HandleBytes(epoch, sent)
		}, ErrMismatch, 1},
		{"wrong first byte fails before the rest arrives", func(p *Pinger, sent []byte) error {
			return p.HandleBytes(epoch, []byte{sent[0] ^ 0x80})
		}, ErrMismatch, 1},
		{"33 bytes", func(p *Pinger, sent []byte) error {
			return p.HandleBytes(epoch, append(sent, 0))
		}, ErrUnasked, 1},
		{"answer after the answer", func(p *Pinger, sent []byte) error {
			if err := p.HandleBytes(epoch, sent); err != nil {
				return err
			}
			p.Next()
			return p.HandleBytes(epoch, sent)
		}, ErrUnasked, 0},
		{"31 bytes, then silence", func(p *Pinger, sent []byte) error {
			if err := p.HandleBytes(epoch, sent[:31]); err != nil {
				return err
			}
			if err := p.HandleTimeout(epoch.Add(10*time.Second - 1)); err != nil {
				return err
			}
			return p.HandleTimeout(epoch.Add(10 * time.Second))
		}, ErrTimeout, 1},
		{"orderly end under a ping", func(p *Pinger, _ []byte) error {
			p.HandleEnd(nil)
			return p.err
		}, ErrEnded, 1},
		{"reset under a ping", func(p *Pinger, _ []byte) error {
			p.HandleEnd(io.ErrUnexpectedEOF)
			return p.err
		}, io.ErrUnexpectedEOF, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var rand counter
			p := NewPinger(Config{})
			if err := p.Ping(epoch, &rand); err != nil {
				t.Fatal(err)
			}
			if err := c.play(p, p.AppendOutput(nil)); !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			e, ok := p.Next()
			f, _ := e.(Failed)
			if !ok || f.Seq != c.seq || !errors.Is(f.Err, c.want) {
				t.Fatalf("event %#v, want ping %d failed with %v", e, c.seq, c.want)
			}
			if err := p.Ping(epoch, &rand); !errors.Is(err, c.want) {
				t.Fatalf("a ping after the failure gives %v", err)
			}
			if p.HandleEnd(nil); len(p.AppendOutput(nil)) != 0 {
				t.Fatal("a failed pinger has output")
			}
			if _, ok := p.Next(); ok {
				t.Fatal("a failed pinger fails again")
			}
		})
	}
}

func TestBytesBeforeAnyPingAreRefused(t *testing.T) {
	p := NewPinger(Config{})
	if err := p.HandleBytes(epoch, []byte{0}); !errors.Is(err, ErrUnasked) {
		t.Fatalf("got %v, want %v", err, ErrUnasked)
	}
}

func TestPingWithoutRandomnessIsALocalError(t *testing.T) {
	p := NewPinger(Config{})
	if err := p.Ping(epoch, noRand{}); err == nil {
		t.Fatal("a ping was made without randomness")
	}
	if out := p.AppendOutput(nil); len(out) != 0 {
		t.Fatalf("%d bytes were sent for it", len(out))
	}
}

func TestResponderEndsWhoStalls(t *testing.T) {
	full := make([]byte, Size)
	for _, c := range []struct {
		name  string
		input []byte
		after time.Duration
	}{
		{"silent from the start", nil, time.Minute},
		{"31 bytes, then nothing", full[:31], 10 * time.Second},
		{"answer never read", full, 10 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := NewResponder(Config{}, epoch)
			if err := r.HandleBytes(epoch, c.input); err != nil {
				t.Fatal(err)
			}
			at, ok := r.Deadline()
			if !ok || !at.Equal(epoch.Add(c.after)) {
				t.Fatalf("deadline %v after %v, want %v", ok, at.Sub(epoch), c.after)
			}
			if err := r.HandleTimeout(at.Add(-1)); err != nil {
				t.Fatalf("ended early: %v", err)
			}
			if err := r.HandleTimeout(at); !errors.Is(err, ErrTimeout) {
				t.Fatalf("at the deadline: %v, want %v", err, ErrTimeout)
			}
			if err := r.HandleBytes(at, full); !errors.Is(err, ErrTimeout) {
				t.Fatalf("input after the end: %v", err)
			}
		})
	}
}

func TestDrippingDoesNotMoveTheDeadlineOfAPing(t *testing.T) {
	r := NewResponder(Config{}, epoch)
	now := epoch
	for range Size - 1 {
		if err := r.HandleBytes(now, []byte{1}); err != nil {
			t.Fatal(err)
		}
		if at, _ := r.Deadline(); !at.Equal(epoch.Add(10 * time.Second)) {
			t.Fatalf("one byte a while moved the deadline to %v", at.Sub(epoch))
		}
		now = now.Add(time.Second / 10)
	}
}

func TestResponderKeepsAStreamThatPingsEvery15Seconds(t *testing.T) {
	r := NewResponder(Config{}, epoch)
	now := epoch
	for range 100 {
		now = now.Add(15 * time.Second)
		if err := r.HandleTimeout(now); err != nil {
			t.Fatalf("after %v: %v", now.Sub(epoch), err)
		}
		if err := r.HandleBytes(now, make([]byte, Size)); err != nil {
			t.Fatal(err)
		}
		if out := r.AppendOutput(nil); len(out) != Size {
			t.Fatalf("answer of %d bytes", len(out))
		}
	}
}

func TestResponderFloodedWithPingsHoldsNoMoreThanItsCap(t *testing.T) {
	r := NewResponder(Config{}, epoch)
	var err error
	for range 100 * maxEcho / 512 {
		if err = r.HandleBytes(epoch, make([]byte, 512)); err != nil {
			break
		}
		if len(r.echo) > maxEcho {
			t.Fatalf("holds %d bytes, cap %d", len(r.echo), maxEcho)
		}
	}
	if !errors.Is(err, ErrFlood) {
		t.Fatalf("got %v, want %v", err, ErrFlood)
	}
}

func TestResponderRefusesAStreamThatEndsInsideAPing(t *testing.T) {
	for n := range 2 * Size {
		r := NewResponder(Config{}, epoch)
		if err := r.HandleBytes(epoch, make([]byte, n)); err != nil {
			t.Fatal(err)
		}
		err := r.HandleEnd()
		if want := n%Size != 0; errors.Is(err, ErrTruncated) != want {
			t.Fatalf("end after %d bytes: %v", n, err)
		}
		if err == nil && n == Size && r.Done() {
			t.Fatal("done before the answer is out")
		}
	}
}

func TestBoundsNameTheirAttack(t *testing.T) {
	for _, b := range Bounds() {
		if b.Name == "" || b.Cap <= 0 || b.Attack == "" {
			t.Errorf("incomplete bound %+v", b)
		}
	}
}

func FuzzResponder(f *testing.F) {
	f.Add([]byte("0123456789abcdef0123456789abcdef0123"), uint8(5))
	f.Add(make([]byte, 200), uint8(64))
	f.Fuzz(func(t *testing.T, in []byte, chunk uint8) {
		r := NewResponder(Config{}, epoch)
		var out []byte
		for rest := in; len(rest) > 0; {
			n := min(int(chunk)+1, len(rest))
			if err := r.HandleBytes(epoch, rest[:n]); err != nil {
				t.Fatalf("a remote that reads its answers was refused: %v", err)
			}
			out, rest = r.AppendOutput(out), rest[n:]
		}
		if want := in[:len(in)/Size*Size]; !bytes.Equal(out, want) {
			t.Fatalf("echoed %d bytes, want the %d of all whole pings", len(out), len(want))
		}
	})
}

func FuzzPinger(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9}, uint8(3))
	f.Fuzz(func(t *testing.T, in []byte, chunk uint8) {
		var rand counter
		p := NewPinger(Config{})
		if err := p.Ping(epoch, &rand); err != nil {
			t.Fatal(err)
		}
		sent := p.AppendOutput(nil)
		for rest := in; len(rest) > 0; {
			n := min(int(chunk)+1, len(rest))
			_ = p.HandleBytes(epoch, rest[:n])
			rest = rest[n:]
		}
		e, ok := p.Next()
		_, pong := e.(Pong)
		if want := len(in) >= Size && bytes.Equal(in[:Size], sent); pong && !want {
			t.Fatalf("%x taken as the answer to %x", in, sent)
		}
		if ok && !pong {
			if _, failed := e.(Failed); !failed {
				t.Fatalf("unknown event %#v", e)
			}
		}
	})
}

func BenchmarkPing(b *testing.B) {
	var rand counter
	p, r := NewPinger(Config{}), NewResponder(Config{}, epoch)
	out := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		_ = p.Ping(epoch, &rand)
		out = p.AppendOutput(out[:0])
		_ = r.HandleBytes(epoch, out)
		out = r.AppendOutput(out[:0])
		_ = p.HandleBytes(epoch, out)
		p.Next()
	}
}

package perfcore

import (
	"encoding/binary"
	"errors"
	"math"
	"testing"
	"time"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// run carries bytes between the two, at most chunk at a time and each chunk taking step.
func run(t *testing.T, c *Client, s *Server, chunk int, step time.Duration) {
	t.Helper()
	now := epoch
	for !c.Uploaded() {
		p := c.NextWrite()
		p = p[:min(chunk, len(p))]
		now = now.Add(step)
		if err := s.HandleBytes(now, p); err != nil {
			t.Fatalf("server: %v", err)
		}
		if len(s.NextWrite()) != 0 {
			t.Fatal("server answers before the client's end")
		}
		c.Wrote(now, len(p))
	}
	if err := s.HandleEnd(now); err != nil {
		t.Fatalf("server at the client's end: %v", err)
	}
	for !s.Done() {
		p := s.NextWrite()
		p = p[:min(chunk, len(p))]
		now = now.Add(step)
		if err := c.HandleBytes(now, p); err != nil {
			t.Fatalf("client: %v", err)
		}
		s.Wrote(now, len(p))
	}
	if err := c.HandleEnd(now); err != nil {
		t.Fatalf("client at the server's end: %v", err)
	}
}

func TestBothSidesCountTheSameBytes(t *testing.T) {
	for _, c := range []struct {
		up, down uint64
		chunk    int
	}{{0, 0, 1}, {1, 0, 3}, {0, 1, 8}, {5, 9, 1}, {200_000, 70_000, 65_536}, {BlockSize, 3 * BlockSize, 1 << 20}} {
		client, server := NewClient(Config{}, epoch, c.up, c.down), NewServer(Config{}, epoch)
		run(t, client, server, c.chunk, time.Millisecond)
		r, ok := client.Result()
		if !ok || r.Uploaded != c.up || r.Downloaded != c.down {
			t.Errorf("client measured %+v, %v; want %d up, %d down", r, ok, c.up, c.down)
		}
		if r.Upload <= 0 || (r.Download > 0) != (c.down > 0) {
			t.Errorf("durations %v and %v for %d up, %d down", r.Upload, r.Download, c.up, c.down)
		}
		if up, down := server.Counts(); up != c.up || down != c.down {
			t.Errorf("server counted %d up, %d down; want %d, %d", up, down, c.up, c.down)
		}
		for name, deadline := range map[string]func() (time.Time, bool){"client": client.Deadline, "server": server.Deadline} {
			if _, ok := deadline(); ok {
				t.Errorf("%s is done and has a deadline", name)
			}
		}
	}
}

func TestHeaderIsBigEndianAndComesFirst(t *testing.T) {
	c := NewClient(Config{}, epoch, 10, 0x0102030405060708)
	if got := binary.BigEndian.Uint64(c.NextWrite()); got != 0x0102030405060708 {
		t.Fatalf("header says %#x", got)
	}
	if len(c.NextWrite()) != headerSize {
		t.Fatalf("%d bytes before the upload, want %d", len(c.NextWrite()), headerSize)
	}
}

func TestServerHoldsNothingForTheLargestWish(t *testing.T) {
	s := NewServer(Config{}, epoch)
	if err := s.HandleBytes(epoch, []byte{255, 255, 255, 255, 255, 255, 255, 255}); err != nil {
		t.Fatal(err)
	}
	if err := s.HandleEnd(epoch); err != nil {
		t.Fatal(err)
	}
	allocs := testing.AllocsPerRun(1000, func() { s.Wrote(epoch, len(s.NextWrite())) })
	if _, down := s.Counts(); allocs != 0 || down < 1000*BlockSize || s.Done() {
		t.Fatalf("%v allocations, %d bytes written, done %v", allocs, down, s.Done())
	}
	s.down = math.MaxUint64 - 3
	if n := len(s.NextWrite()); n != 3 {
		t.Fatalf("last block is %d bytes, want 3", n)
	}
	if s.Wrote(epoch, 1<<20); !s.Done() {
		t.Fatal("not done after the last byte")
	}
}

func TestServerRefusesAHeaderCutAtEveryByte(t *testing.T) {
	for n := range headerSize {
		s := NewServer(Config{}, epoch)
		if err := s.HandleBytes(epoch, make([]byte, n)); err != nil {
			t.Fatal(err)
		}
		if err := s.HandleEnd(epoch); !errors.Is(err, ErrTruncated) {
			t.Errorf("end after %d bytes: %v, want %v", n, err, ErrTruncated)
		}
	}
}

func TestServerRefusesDataAfterTheEnd(t *testing.T) {
	s := NewServer(Config{}, epoch)
	if err := errors.Join(s.HandleBytes(epoch, make([]byte, 8)), s.HandleEnd(epoch), s.HandleEnd(epoch)); err != nil {
		t.Fatal(err)
	}
	if err := s.HandleBytes(epoch, []byte{0}); !errors.Is(err, ErrAfterEnd) {
		t.Fatalf("got %v, want %v", err, ErrAfterEnd)
	}
	if s.Done() || len(s.NextWrite()) != 0 {
		t.Fatal("a failed server goes on")
	}
}

func TestClientRefusesAnAnswerThatDoesNotFit(t *testing.T) {
	uploaded := func() *Client {
		c := NewClient(Config{}, epoch, 0, 100)
		c.Wrote(epoch, headerSize)
		return c
	}
	for _, c := range []struct {
		name string
		play func() error
		want error
	}{
		{"before the upload is complete", func() error {
			return NewClient(Config{}, epoch, 5, 100).HandleBytes(epoch, []byte{0})
		}, ErrEarly},
		{"end before the upload is complete", func() error {
			return NewClient(Config{}, epoch, 5, 0).HandleEnd(epoch)
		}, ErrShort},
		{"one byte more", func() error { return uploaded().HandleBytes(epoch, make([]byte, 101)) }, ErrLong},
		{"one byte less", func() error {
			c := uploaded()
			if err := c.HandleBytes(epoch, make([]byte, 99)); err != nil {
				return err
			}
			return c.HandleEnd(epoch)
		}, ErrShort},
		{"a byte after the end", func() error {
			c := uploaded()
			if err := errors.Join(c.HandleBytes(epoch, make([]byte, 100)), c.HandleEnd(epoch)); err != nil {
				return err
			}
			return c.HandleBytes(epoch, []byte{0})
		}, ErrAfterEnd},
	} {
		if err := c.play(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestStallIsMeasuredFromTheLastByteInEitherDirection(t *testing.T) {
	type side interface {
		HandleTimeout(time.Time) error
		Deadline() (time.Time, bool)
	}
	server, client := NewServer(Config{}, epoch), NewClient(Config{}, epoch, 5, 5)
	at := epoch.Add(20 * time.Second)
	if err := server.HandleBytes(at, []byte{1}); err != nil {
		t.Fatal(err)
	}
	client.Wrote(at, 1)
	client.Wrote(at.Add(time.Second), 0) // a write that took nothing is no progress
	for name, s := range map[string]side{"server": server, "client": client} {
		due, ok := s.Deadline()
		if !ok || !due.Equal(at.Add(30*time.Second)) {
			t.Fatalf("%s: deadline %v, %v", name, due.Sub(epoch), ok)
		}
		if err := s.HandleTimeout(due.Add(-1)); err != nil {
			t.Fatalf("%s ended early: %v", name, err)
		}
		if err := s.HandleTimeout(due); !errors.Is(err, ErrStalled) {
			t.Fatalf("%s: %v, want %v", name, err, ErrStalled)
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

func FuzzServer(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 9, 1, 2, 3}, uint8(2))
	f.Fuzz(func(t *testing.T, in []byte, chunk uint8) {
		s := NewServer(Config{}, epoch)
		for rest := in; len(rest) > 0; {
			n := min(int(chunk)+1, len(rest))
			if err := s.HandleBytes(epoch, rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		err := s.HandleEnd(epoch)
		if (err == nil) != (len(in) >= headerSize) {
			t.Fatalf("end after %d bytes: %v", len(in), err)
		}
		if up, _ := s.Counts(); err == nil && up != uint64(len(in)-headerSize) {
			t.Fatalf("counted %d of %d", up, len(in)-headerSize)
		}
		for range 10 {
			s.Wrote(epoch, len(s.NextWrite()))
		}
	})
}

func FuzzClient(f *testing.F) {
	f.Add(uint16(3), uint16(4), []byte{0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, up, down uint16, in []byte) {
		c := NewClient(Config{}, epoch, uint64(up), uint64(down))
		for !c.Uploaded() {
			c.Wrote(epoch, len(c.NextWrite()))
		}
		err := c.HandleBytes(epoch, in)
		if err == nil {
			err = c.HandleEnd(epoch)
		}
		if (err == nil) != (len(in) == int(down)) {
			t.Fatalf("%d bytes for %d wanted: %v", len(in), down, err)
		}
	})
}

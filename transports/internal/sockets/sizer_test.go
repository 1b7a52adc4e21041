package sockets

import "testing"

func TestReadsGrowWithABurstAndShrinkAfterIt(t *testing.T) {
	const most = 64 << 10
	s := NewSizer(most)
	step := func(n, want int) {
		t.Helper()
		s.Took(n)
		if s.Size != want {
			t.Fatalf("after %d bytes the next read is %d, want %d", n, s.Size, want)
		}
	}
	step(100, 4<<10)
	step(4<<10, most) // filled: more is waiting
	step(most, most)  // and more
	step(900, most)   // the end of what the sender had
	step(30<<10, most)
	for range 10 { // messages of a WebSocket, each of which begins with a small read
		step(1000, most)
		step(30<<10, most)
	}
	for range backAfter - 1 {
		step(100, most)
	}
	step(100, 4<<10)
	step(100, 4<<10)
	step(4<<10, most)
	for range 100 {
		if s.Took(most); s.Size > most {
			t.Fatalf("reads of %d", s.Size)
		}
	}
}

func TestSmallReadBuffersAreObeyed(t *testing.T) {
	s := NewSizer(512)
	for range 10 {
		if s.Took(512); s.Size != 512 {
			t.Fatalf("reads of %d", s.Size)
		}
	}
	for range 10 {
		if s.Took(1); s.Size != 512 {
			t.Fatalf("reads of %d", s.Size)
		}
	}
}

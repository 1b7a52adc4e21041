package webrtc

import (
	"testing"
	"time"
)

// Whoever answers before it has read everything waits for a grant, which comes behind bytes that it has
// not read: an echo does.
func TestAGrantIsHeardBehindAFullWindow(t *testing.T) {
	const window = 64 << 10
	a, b := pair(t, func(tr *Transport) { tr.cfg.StreamWindow = window })
	_, streams := accepting(b)
	accepting(a)
	ms, err := a.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	from, reads := ms.(*stream), newLost()
	from.Bind(reads, 1<<10)
	fills(t, from, reads, window)
	to, answers := <-streams, newLost()
	to.Bind(answers, 1)
	for more := false; !more; { // up to a grant, and not one buffer further
		(<-answers.got).Release()
		b.mu.Lock()
		if more = to.granted > window; !more {
			to.credits++
		}
		b.mu.Unlock()
		b.news.of(to)
	}
	b.mu.Lock()
	granted := int(to.granted)
	b.mu.Unlock()
	fills(t, from, reads, granted-window)
	fills(t, to, answers, 4*window)
	drain(reads)
}

// fills writes n bytes, as far as the remote lets it.
func fills(t *testing.T, s *stream, l *lost, n int) {
	t.Helper()
	end := time.After(10 * time.Second)
	for p := make([]byte, n); len(p) > 0; {
		taken, err := s.TryWrite(p)
		if err != nil {
			t.Fatal(err)
		}
		if p = p[taken:]; len(p) == 0 {
			return
		}
		select { // order-free: the end is the end
		case <-l.more:
		case <-end:
			t.Fatalf("%d of %d bytes cannot be written", len(p), n)
		}
	}
}

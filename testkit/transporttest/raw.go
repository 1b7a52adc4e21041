package transporttest

import (
	"math/rand/v2"
	"testing"

	"github.com/troupe-p2p/troupe/transports/conduit"
)

// RawPair is two ends of one connection, unbound.
type RawPair struct {
	A, B conduit.Raw
	// Break ends the connection as a crash of A's machine's kernel would: B learns of it with
	// an error that is not io.EOF.
	Break func()
	// Held is the most bytes that may be under way while nobody reads.
	Held int
	// Writes is how many writes of one byte may be under way while nobody reads. Default 4096.
	Writes int
}

// NewRaw makes a pair that lasts until its ends are closed. Its runtime is to be Runtime's.
type NewRaw func(t *testing.T) RawPair

// Raw tests the promises of conduit.Raw.
func Raw(t *testing.T, pair NewRaw) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, p RawPair)
	}{
		{"endpoints match", rawEndpoints},
		{"every byte comes back from an echo, whatever the sizes", rawEcho},
		{"a reader without credit stops the sender, and nothing is lost", rawBackPressure},
		{"no offer without a credit", rawCredits},
		{"what is polled beside the reader comes once and in order, within the credits", rawPoll},
		{"the sink may close what is polled", rawPollClose},
		{"what the sink leaves to who leads it is seen to, and holds up nobody", rawLead},
		{"what Drain was given arrives in full", rawDrain},
		{"a half-written Drain is answered when the conduit is closed", rawDrainClosed},
		{"a half-written Drain is answered when the remote is gone", rawDrainBroken},
		{"a new owner gets what the old one had no credit for", rawHandOver},
		{"a chain of owners loses nothing in mid-stream", rawHandOverChain},
		{"a remote's Close is an orderly end behind its bytes", rawRemoteClose},
		{"a broken connection is no orderly end", rawBreak},
		{"nothing is offered after Close in a turn of the sink", rawCloseInOffer},
		{"Close before Bind is told to the first owner", rawCloseUnbound},
		{"Close wakes a reader that waits for bytes", rawCloseIdle},
		{"Close wakes a reader that waits for credit", rawCloseNoCredit},
		{"Close is idempotent, from many goroutines", rawCloseTwice},
		{"an owner of a dead connection learns of it", rawBindDead},
		{"a write after Close fails", rawWriteClosed},
		{"a panic of the sink closes the conduit and is its end", rawPanic},
		{"a panic in Drained is the conduit's end too", rawPanicDrained},
		{"what must not be done says so", rawMisuse},
		{"traffic both ways at once", rawDuplex},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := pair(t)
			t.Cleanup(func() { _ = p.A.Close(); _ = p.B.Close() })
			c.test(t, p)
		})
	}
}

// noise is n bytes that no other seed has.
func noise(seed byte, n int) []byte {
	var key [32]byte
	key[0] = seed
	p := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(p)
	return p
}

// fill writes until nothing fits any more and says how much that was.
func fill(t *testing.T, c conduit.Raw, src []byte) int {
	t.Helper()
	total := 0
	for total < len(src) {
		n, err := c.TryWrite(src[total:min(total+64<<10, len(src))])
		if err != nil {
			t.Fatalf("after %d bytes: %v", total, err)
		}
		if n == 0 {
			return total
		}
		total += n
	}
	t.Fatalf("a reader that takes nothing let %d bytes through", total)
	return 0
}

// send writes all of p, waiting where it has to. s is the sender's sink.
func send(t *testing.T, c conduit.Raw, s *Sink, p []byte) {
	t.Helper()
	n, err := c.TryWrite(p)
	if err != nil {
		t.Fatalf("TryWrite: %v", err)
	}
	if n < len(p) {
		before := s.count(func() int { return len(s.drained) })
		c.Drain(p[n:])
		s.wait(t, "Drained", func() bool {
			if len(s.drained) > before {
				err = s.drained[before]
				return true
			}
			return false
		})
		if err != nil {
			t.Fatalf("Drain: %v", err)
		}
	}
}

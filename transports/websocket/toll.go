package websocket

import "time"

const (
	// emptyBurst is how many bytes a remote may send at once that carry nothing: 2,700 of the
	// shortest frames.
	emptyBurst = 16 << 10
	// emptyRate is how many of them are forgiven in a second: 170 of the shortest frames, or a ping
	// of the longest kind eight times.
	emptyRate = 1 << 10
	// headsPerByte is how many bytes of heads each byte of data pays for: a message of one byte has
	// 14 at most.
	headsPerByte = 16
)

// toll counts what a remote sends beside data: heads, pings, pongs, empty messages, empty parts of
// messages. No credit holds these back, because nothing of them reaches the owner; each takes a turn
// of the reader, and a ping an answer.
type toll struct {
	unpaid int
	since  time.Time // of the last time that something was forgiven
}

// came is for n bytes of any kind.
func (t *toll) came(n int) { t.unpaid += n }

// brought is for n bytes of data, of those that came.
func (t *toll) brought(n int) { t.unpaid = max(0, t.unpaid-n*(1+headsPerByte)) }

// over says that the remote has sent too much. It does not ask for the time unless it has to.
func (t *toll) over(now func() time.Time) bool {
	if t.unpaid <= emptyBurst {
		return false
	}
	at := now()
	forgiven := at.Sub(t.since).Seconds() * emptyRate
	t.unpaid, t.since = max(0, t.unpaid-int(min(forgiven, emptyBurst))), at
	return t.unpaid > emptyBurst
}

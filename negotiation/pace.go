package negotiation

import "time"

// tenure is the time that a half-open connection may count on for its first byte, whatever comes
// after it. Without it a burst would go through the slots as fast as the gate can turn, before
// anything that the connections have sent was read. With the default of 512 slots newcomers wait
// from 20,000 a second on.
const tenure = 25 * time.Millisecond

// maxWaiting is how many newcomers wait for somebody's tenure to end. It stops a flood that is
// faster than that for long; whoever comes then is closed.
const maxWaiting = 1 << 12

// pace says how soon slots may be taken from those who hold them.
type pace struct {
	slots int
	at    time.Time
	due   float64 // evictions that may be done now
}

// take allows one eviction, or not yet.
func (p *pace) take(now time.Time) bool {
	burst := float64(max(1, p.slots/16))
	p.due = min(burst, p.due+float64(p.slots)*now.Sub(p.at).Seconds()/tenure.Seconds())
	p.at = now
	if p.due < 1 {
		return false
	}
	p.due--
	return true
}

// next is how long to wait for the next one, or for a few.
func (p *pace) next() time.Duration { return max(time.Millisecond, tenure/time.Duration(p.slots)) }

package limits

import (
	"fmt"
	"time"

	"github.com/troupe-p2p/troupe/identity"
)

// Use says of what use a connection is. The fields stand in the order of their weight.
type Use struct {
	// Protected connections are never closed for another.
	Protected bool
	// Busy ones carry streams, or somebody waits for them to carry one.
	Busy bool
	// Value is the sum of the tags of the peer.
	Value int
	// Quiet is since when there has been no stream: who was of use longest ago goes first.
	Quiet time.Time
}

// Less says that u is of less use than v, and may be closed for it.
func (u Use) Less(v Use) bool {
	switch {
	case u.Protected:
		return false
	case v.Protected:
		return true
	case u.Busy != v.Busy:
		return v.Busy
	case u.Value != v.Value:
		return u.Value < v.Value
	case u.Busy:
		return false // two that work: whoever came first stays
	}
	return u.Quiet.Before(v.Quiet)
}

// Candidate is a connection that may make room for another.
type Candidate struct {
	ID uint64 // the smaller of two equals goes first
	Use
}

// Chooser finds the candidate of the least use, in whatever order they are shown to it. The zero Chooser
// has seen none.
type Chooser struct {
	least Candidate
	some  bool
}

// See shows one more.
func (c *Chooser) See(n Candidate) {
	if !c.some || n.Less(c.least.Use) || !c.least.Less(n.Use) && n.ID < c.least.ID {
		c.least, c.some = n, true
	}
}

// For returns which one makes room for a newcomer; false: all are of as much use at least.
func (c *Chooser) For(newcomer Use) (uint64, bool) {
	if !c.some || !c.least.Less(newcomer) {
		return 0, false
	}
	return c.least.ID, true
}

// Eviction is why a connection was closed to make room for another.
type Eviction struct {
	// Limit is the field of Limits, Cap its value.
	Limit string
	Cap   int
	// For is the peer of the newcomer.
	For identity.ID
}

func (e *Eviction) Error() string {
	return fmt.Sprintf("limit: made room for peer %s, as the least useful of %d connections (Limits.%s)", e.For, e.Cap, e.Limit)
}

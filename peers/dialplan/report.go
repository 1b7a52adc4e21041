package dialplan

import ma "github.com/multiformats/go-multiaddr"

// Fate is what became of an address in a dial.
type Fate string

// The fates.
const (
	Won       Fate = "won"
	DidFail   Fate = "failed"  // Err says why
	Stopped   Fate = "stopped" // it was under way when the dial ended
	LeftOut   Fate = "skipped" // Err says why nothing was sent
	NotNeeded Fate = "not needed"
)

// Tried is one address of a dial.
type Tried struct {
	Addr ma.Multiaddr
	Fate Fate
	Err  error
}

// Report is what has become of every address, in the order in which they were due; those that were left
// out from the start come last.
func (d *Dial) Report() []Tried {
	out := make([]Tried, 0, len(d.all)+len(d.skipped))
	for n, a := range d.all {
		t := Tried{Addr: a.Addr, Err: a.err}
		switch {
		case a.skipped:
			t.Fate = LeftOut
		case n >= d.next:
			t.Fate = NotNeeded
		case a.err != nil:
			t.Fate = DidFail
		case a.won:
			t.Fate = Won
		default:
			t.Fate = Stopped
		}
		out = append(out, t)
	}
	for _, s := range d.skipped {
		out = append(out, Tried{s.Addr, LeftOut, s.Err})
	}
	return out
}

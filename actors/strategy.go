package actors

import "time"

// Strategy is how a supervisor treats failing children. It is a table without state: Decide
// maps a child's history to a Verdict.
type Strategy struct {
	// Scope says who is restarted with a failing child. Default OneForOne.
	Scope Scope
	// Intensity is the number of failures within Window that are answered by a restart; the
	// next one is answered by Exceeded. Default 5. Negative: none.
	Intensity int
	// Window is the time over which failures are counted. Default 10 s.
	Window time.Duration
	// Backoff is the delay before the second restart within Window; the first is at once,
	// each further one doubles it. Default 50 ms.
	Backoff time.Duration
	// MaxBackoff caps the delay. Default 5 s.
	MaxBackoff time.Duration
	// Exceeded says what happens past Intensity. Default Park.
	Exceeded Exceeded
	// ParkFor is how long a parked child waits before it is tried again. Default 30 s.
	ParkFor time.Duration
}

// Scope says who is restarted with a failing child.
type Scope uint8

const (
	// OneForOne restarts the failing child alone.
	OneForOne Scope = iota
	// RestForOne restarts the failing child and those that were spawned after it: they feed
	// it, or they depend on it.
	RestForOne
)

// Exceeded says what happens to a child that fails too often.
type Exceeded uint8

const (
	// Park leaves the child failed, with its reason on show, and tries again after ParkFor.
	Park Exceeded = iota
	// Escalate fails the supervisor itself, so that its own supervisor decides.
	Escalate
	// StopChild ends the child.
	StopChild
)

func (s Strategy) withDefaults() Strategy {
	if s.Intensity == 0 {
		s.Intensity = 5
	}
	if s.Window == 0 {
		s.Window = 10 * time.Second
	}
	if s.Backoff == 0 {
		s.Backoff = 50 * time.Millisecond
	}
	if s.MaxBackoff == 0 {
		s.MaxBackoff = 5 * time.Second
	}
	if s.ParkFor == 0 {
		s.ParkFor = 30 * time.Second
	}
	return s
}

// Action is what to do with a failed child.
type Action uint8

const (
	// ActRestart makes a new incarnation after Verdict.After.
	ActRestart Action = iota + 1
	// ActStop ends the child.
	ActStop
	// ActPark restarts it after Verdict.After too, but says that it failed too often.
	ActPark
	// ActEscalate fails the supervisor.
	ActEscalate
)

func (a Action) String() string {
	switch a {
	case ActRestart:
		return "restart"
	case ActStop:
		return "stop"
	case ActPark:
		return "park"
	case ActEscalate:
		return "escalate"
	}
	return "none"
}

// Verdict is the answer to one failure.
type Verdict struct {
	Action Action
	After  time.Duration
	// Rest says that the siblings spawned later share the action.
	Rest bool
}

// History holds the failures of one child that still count.
type History struct{ at []time.Time }

// Decide answers a failure at now. rnd in [0,1) spreads the delays: a delay d becomes one in
// [d/2, d]. The only state is h, which it updates.
func (s Strategy) Decide(h *History, r Restart, now time.Time, rnd float64) Verdict {
	if r == Temporary {
		return Verdict{Action: ActStop}
	}
	s = s.withDefaults()
	keep := h.at[:0]
	for _, t := range h.at {
		if now.Sub(t) < s.Window {
			keep = append(keep, t)
		}
	}
	h.at = append(keep, now)
	rest := s.Scope == RestForOne
	n := len(h.at)
	if n <= s.Intensity {
		return Verdict{Action: ActRestart, After: s.delay(n, rnd), Rest: rest}
	}
	// No more than one past the intensity is remembered: enough to stay over it.
	h.at = append(h.at[:0], h.at[n-max(s.Intensity, 0)-1:]...)
	switch s.Exceeded {
	case Escalate:
		return Verdict{Action: ActEscalate}
	case StopChild:
		return Verdict{Action: ActStop}
	default:
		return Verdict{Action: ActPark, After: jitter(s.ParkFor, rnd), Rest: rest}
	}
}

func (s Strategy) delay(n int, rnd float64) time.Duration {
	if n <= 1 {
		return 0
	}
	d := s.Backoff
	for range n - 2 {
		if d > s.MaxBackoff/2 {
			d = s.MaxBackoff
			break
		}
		d *= 2
	}
	return jitter(min(d, s.MaxBackoff), rnd)
}

func jitter(d time.Duration, rnd float64) time.Duration {
	return d/2 + time.Duration(rnd*float64(d/2))
}

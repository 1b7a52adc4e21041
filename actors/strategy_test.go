package actors

import (
	"fmt"
	"slices"
	"testing"
	"testing/quick"
	"time"
)

func TestDecide(t *testing.T) {
	const ms = time.Millisecond
	// Each step is a failure at that time; rnd is 0.5, so that a delay d becomes 3/4 d.
	for name, c := range map[string]struct {
		s       Strategy
		restart Restart
		at      []time.Duration
		want    []string
	}{
		"the first restart is at once, then delays double, then it is parked": {
			at:   []time.Duration{0, 0, 0, 0, 0, 0, 0},
			want: []string{"restart 0s", "restart 37.5ms", "restart 75ms", "restart 150ms", "restart 300ms", "park 22.5s", "park 22.5s"},
		},
		"transient actors that fail are treated alike": {
			restart: Transient, at: []time.Duration{0, 0}, want: []string{"restart 0s", "restart 37.5ms"},
		},
		"temporary actors are stopped": {
			restart: Temporary, at: []time.Duration{0, time.Hour}, want: []string{"stop 0s", "stop 0s"},
		},
		"temporary actors do not touch their siblings": {
			s: Strategy{Scope: RestForOne}, restart: Temporary, at: []time.Duration{0}, want: []string{"stop 0s"},
		},
		"failures outside of the window do not count": {
			s:    Strategy{Intensity: 2, Window: time.Second},
			at:   []time.Duration{0, 600 * ms, 1001 * ms, 1500 * ms, 1601 * ms, 5000 * ms},
			want: []string{"restart 0s", "restart 37.5ms", "restart 37.5ms", "park 22.5s", "park 22.5s", "restart 0s"},
		},
		"the window is open at its old end": {
			s: Strategy{Intensity: 1, Window: time.Second}, at: []time.Duration{0, time.Second}, want: []string{"restart 0s", "restart 0s"},
		},
		"the backoff is capped": {
			s:    Strategy{Intensity: 6, Backoff: 10 * ms, MaxBackoff: 40 * ms},
			at:   []time.Duration{0, 0, 0, 0, 0, 0},
			want: []string{"restart 0s", "restart 7.5ms", "restart 15ms", "restart 30ms", "restart 30ms", "restart 30ms"},
		},
		"a cap below the first delay holds too": {
			s: Strategy{Backoff: time.Minute, MaxBackoff: 4 * ms}, at: []time.Duration{0, 0, 0}, want: []string{"restart 0s", "restart 3ms", "restart 3ms"},
		},
		"no intensity at all": {
			s: Strategy{Intensity: -1}, at: []time.Duration{0, time.Hour}, want: []string{"park 22.5s", "park 22.5s"},
		},
		"past the intensity: escalate": {
			s: Strategy{Intensity: 1, Exceeded: Escalate}, at: []time.Duration{0, 1}, want: []string{"restart 0s", "escalate 0s"},
		},
		"past the intensity: stop": {
			s: Strategy{Intensity: 1, Exceeded: StopChild}, at: []time.Duration{0, 1}, want: []string{"restart 0s", "stop 0s"},
		},
		"parked for as long as asked": {
			s: Strategy{Intensity: -1, ParkFor: 4 * time.Second}, at: []time.Duration{0}, want: []string{"park 3s"},
		},
		"rest_for_one takes the later siblings along": {
			s: Strategy{Scope: RestForOne, Intensity: 2}, at: []time.Duration{0, 0, 0}, want: []string{"restart 0s rest", "restart 37.5ms rest", "park 22.5s rest"},
		},
		"an escalation takes everyone along anyway": {
			s: Strategy{Scope: RestForOne, Intensity: -1, Exceeded: Escalate}, at: []time.Duration{0}, want: []string{"escalate 0s"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var h History
			var got []string
			for _, at := range c.at {
				v := c.s.Decide(&h, c.restart, time.Unix(1000, 0).Add(at), 0.5)
				s := fmt.Sprint(v.Action, " ", v.After)
				if v.Rest {
					s += " rest"
				}
				got = append(got, s)
			}
			if !slices.Equal(got, c.want) {
				t.Fatalf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestDelaysStayBetweenHalfAndAllOfTheBackoff(t *testing.T) {
	if err := quick.Check(func(backoff, most uint32, n uint8, r uint16) bool {
		s := Strategy{Intensity: 1 << 20, Backoff: time.Duration(backoff) + 2, MaxBackoff: time.Duration(most)<<20 + 2}
		rnd := float64(r) / (1 << 16)
		d := min(s.Backoff, s.MaxBackoff)
		for range int(n) {
			if d = 2 * d; d > s.MaxBackoff {
				d = s.MaxBackoff
				break
			}
		}
		got := s.delay(int(n)+2, rnd)
		return got >= d/2 && got <= d
	}, nil); err != nil {
		t.Fatal(err)
	}
	if d := (Strategy{Backoff: 1, MaxBackoff: 1<<63 - 1}).delay(1000, 0.5); d < 1<<61 {
		t.Fatalf("overflow: %v", d)
	}
}

func TestAHistoryDoesNotGrowPastItsIntensity(t *testing.T) {
	s := Strategy{Intensity: 3, Window: time.Hour}
	var h History
	for i := range 10_000 {
		s.Decide(&h, Permanent, time.Unix(1000, int64(i)), 0)
	}
	if len(h.at) != 4 || cap(h.at) > 8 {
		t.Fatalf("%d failures remembered in room for %d", len(h.at), cap(h.at))
	}
}

func TestNamesOfStates(t *testing.T) {
	for got, want := range map[string]string{
		Permanent.String(): "permanent", Transient.String(): "transient", Temporary.String(): "temporary",
		ActRestart.String(): "restart", ActStop.String(): "stop", ActPark.String(): "park", ActEscalate.String(): "escalate", Action(0).String(): "none",
		Starting.String(): "starting", Alive.String(): "alive", Failed.String(): "failed", Restarting.String(): "restarting",
		Stopping.String(): "stopping", Ended.String(): "ended", Abandoned.String(): "abandoned",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

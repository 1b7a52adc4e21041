package drive

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestSettledIsWhatDoesNotGoDownAnyMore(t *testing.T) {
	for why, c := range map[string]struct {
		count func(time.Duration) int
		want  time.Duration
	}{
		"who keeps what he has is believed after a while": {func(time.Duration) int { return 7 }, settleCalm},
		"workers that retire after two seconds are waited for": {func(d time.Duration) int {
			if d < 2*time.Second {
				return 9
			}
			return 7
		}, 2*time.Second + settleCalm},
		"one that comes and goes is not": {func(d time.Duration) int { return 7 + int(d/settleStep)%2 }, settleCalm},
		"there is an end":                {func(d time.Duration) int { return 1000 - int(d/time.Second) }, settleMost},
	} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			settle(func() int { return c.count(time.Since(began)) })
			if got := time.Since(began); got != c.want {
				t.Errorf("%s: settled after %v, want %v", why, got, c.want)
			}
		})
	}
}

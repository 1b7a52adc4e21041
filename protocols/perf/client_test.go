package perf

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/protocols/perf/perfcore"
)

func TestStallsAreTheRemotesFault(t *testing.T) {
	noon := time.Date(2000, 1, 1, 12, 0, 0, 0, time.UTC)
	looks := 0
	r := &run{
		ctx:  t.Context(),
		core: perfcore.NewClient(perfcore.Config{Stall: time.Second}, noon, 1, 1),
		look: func(Progress) { looks++ },
	}
	if err := r.step(noon.Add(500*time.Millisecond), os.ErrDeadlineExceeded); err != nil || looks != 1 {
		t.Errorf("after half the time: %v, %d looks", err, looks)
	}
	err := r.step(noon.Add(time.Second), os.ErrDeadlineExceeded)
	if err == nil || !strings.Contains(err.Error(), "remote: no progress in time") || looks != 1 {
		t.Errorf("after all of it: %v, %d looks", err, looks)
	}
}

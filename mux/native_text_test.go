package mux

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/transports/conduit"
)

type nothing struct{ conduit.MuxedStream }

func (nothing) ID() uint64 { return 4 }

func TestWhatAConduitQuotesOfTheRemoteIsShownSafely(t *testing.T) {
	why := errors.New("remote: \x1b[2J\u202e" + strings.Repeat("x", 1<<16))
	m := newNativeMuxer(nil)
	m.add(nothing{})
	m.input(time.Time{}, &nativeReset{4, 7, true, why})
	m.input(time.Time{}, &nativeEnded{0, false, why})
	n := 0
	for e, ok := m.next(time.Time{}); ok; e, ok = m.next(time.Time{}) {
		if e.err == nil {
			continue
		}
		n++
		if text := e.err.Error(); !errors.Is(e.err, why) || len(text) > 700 || strings.ContainsAny(text, "\x1b\u202e") {
			t.Errorf("%.100q", text)
		}
	}
	if n != 2 {
		t.Errorf("%d errors, want 2", n)
	}
}

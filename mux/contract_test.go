package mux_test

import (
	"context"
	"testing"

	"github.com/troupe-p2p/troupe/testkit/muxtest"
)

var (
	raw    = muxtest.Yamux()
	native = muxtest.Native()
	kinds  = []muxtest.Subject{raw, native}
)

// TestMuxersKeepTheContract is what holds for any muxer; the other files test what is ours.
func TestMuxersKeepTheContract(t *testing.T) {
	both(t, muxtest.Run)
}

// both runs a test for each kind of connection.
func both(t *testing.T, test func(t *testing.T, k muxtest.Subject)) {
	for _, k := range kinds {
		t.Run(k.Name, func(t *testing.T) { test(t, k) })
	}
}

type ctx = context.Context

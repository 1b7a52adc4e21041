package memory

import (
	"testing"

	"github.com/troupe-p2p/troupe/testkit/transporttest"
)

func benchPair(b *testing.B, size int, each bool) {
	x, y := transporttest.Pair(b, New(transporttest.Runtime(b), Config{}), anyAddr)
	defer x.Abandon()
	defer y.Abandon()
	transporttest.BenchmarkRaw(b, x.Raw, y.Raw, size, each)
}

func BenchmarkBulk(b *testing.B) { benchPair(b, 64<<10, false) }

// BenchmarkMessage is one small write and the read of it, with the wake-up of a worker.
func BenchmarkMessage(b *testing.B) { benchPair(b, 100, true) }

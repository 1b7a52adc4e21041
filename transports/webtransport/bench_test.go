package webtransport

import (
	"testing"

	"github.com/troupe-p2p/troupe/testkit/transporttest"
)

func benchStream(b *testing.B, size int, each bool) {
	tr := New(transporttest.Runtime(b), Config{Key: transporttest.Key(1)})
	transporttest.BenchmarkMuxed(b, tr, anyPort, size, each)
}

func BenchmarkBulk(b *testing.B) { benchStream(b, 64<<10, false) }

// BenchmarkMessage is one small write and the read of it.
func BenchmarkMessage(b *testing.B) { benchStream(b, 100, true) }

// BenchmarkIdleConnection: run it with -benchtime 500x.
func BenchmarkIdleConnection(b *testing.B) {
	rt := transporttest.Runtime(b)
	from, to := New(rt, Config{Key: transporttest.Key(2)}), New(rt, Config{Key: transporttest.Key(1)})
	transporttest.BenchmarkIdleConnection(b, from, to, anyPort)
}

// BenchmarkIdleStream: run it with -benchtime 500x.
func BenchmarkIdleStream(b *testing.B) {
	tr := New(transporttest.Runtime(b), Config{Key: transporttest.Key(1), MaxStreams: 1 << 20})
	transporttest.BenchmarkIdleStream(b, tr, anyPort)
}

package book

import (
	"runtime"
	"testing"
)

// BenchmarkPeerMemory is what one peer costs that has been heard of, with three addresses of its own:
// its share of the heap in use.
func BenchmarkPeerMemory(b *testing.B) {
	const peers = DefaultPeers
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse
	}
	for b.Loop() {
		before := heap()
		book := New(Config{})
		for i := range peers {
			book.Learn(epoch, peerID(i), tcp(b, 3*i%65_000, 3*i%65_000+1, 3*i%65_000+2), AddrTTL)
		}
		b.ReportMetric(float64(heap()-before)/peers, "B/peer")
		runtime.KeepAlive(book)
	}
}

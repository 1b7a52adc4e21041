package protocols_test

import (
	"io"
	"testing"

	"github.com/troupe-p2p/troupe/protocols/echo"
	"github.com/troupe-p2p/troupe/protocols/perf"
	"github.com/troupe-p2p/troupe/protocols/ping"
)

// The numbers include two sessions and a wire that copies: they are for seeing allocations and
// for comparing with each other.

func BenchmarkEcho64K(b *testing.B) {
	p := newPair(b, loopback)
	p.b.handle(echo.Protocol, echo.Handler())
	s := p.a.open(echo.Protocol)
	out, in := make([]byte, 64<<10), make([]byte, 64<<10)
	b.SetBytes(int64(len(out)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Write(out); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(s, in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPing(b *testing.B) {
	p := newPair(b, loopback)
	p.b.handle(ping.Protocol, ping.Handler())
	s := p.a.open(ping.Protocol)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ping.Ping(b.Context(), s, p.rt.Rand(), p.rt.Now); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPerfDownload(b *testing.B) {
	p := newPair(b, loopback)
	p.b.handle(perf.Protocol, perf.Handler())
	const size = 64 << 20
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := perf.Run(b.Context(), p.a.open(perf.Protocol), 0, size, p.rt.Now, nil); err != nil {
			b.Fatal(err)
		}
	}
}

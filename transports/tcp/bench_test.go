package tcp

import (
	"net"
	"testing"

	"github.com/troupe-p2p/troupe/testkit/transporttest"
)

func benchPair(b *testing.B, cfg Config, size int, each bool) {
	x, y := transporttest.Pair(b, New(transporttest.Runtime(b), cfg), anyPort)
	defer x.Abandon()
	defer y.Abandon()
	transporttest.BenchmarkRaw(b, x.Raw, y.Raw, size, each)
}

func BenchmarkBulk(b *testing.B) {
	for _, c := range []struct {
		name string
		cfg  Config
	}{{"ready", Config{}}, {"portable", Config{portable: true}}} {
		b.Run(c.name, func(b *testing.B) { benchPair(b, c.cfg, 64<<10, false) })
	}
}

// BenchmarkBulkNet is the same with package net alone: a blocking Read into one buffer.
func BenchmarkBulkNet(b *testing.B) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	w, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	r, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	p := make([]byte, 64<<10)
	done := make(chan struct{})
	go func() {
		defer close(done)
		q := make([]byte, 64<<10)
		for left := b.N * len(p); left > 0; {
			n, err := r.Read(q)
			if err != nil {
				return
			}
			left -= n
		}
	}()
	b.SetBytes(int64(len(p)))
	b.ResetTimer()
	for range b.N {
		if _, err := w.Write(p); err != nil {
			b.Fatal(err)
		}
	}
	<-done
}

// BenchmarkMessage is one small write and the read of it, with the wake-up of the reader.
func BenchmarkMessage(b *testing.B) { benchPair(b, Config{}, 100, true) }

package negotiation_test

import (
	"net"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/negotiation/noise"
	"github.com/troupe-p2p/troupe/negotiation/upgrade"
	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

// BenchmarkUpgrade connects over loopback TCP and upgrades both ends, through the gate on one of
// them, one connection or four at a time. It pays for both sides.
func BenchmarkUpgrade(b *testing.B) {
	for _, bb := range []struct {
		name     string
		security string
		inFlight int
	}{{"noise/1", noise.ID, 1}, {"noise/4", noise.ID, 4}, {"tls/1", upgrade.TLS, 1}, {"tls/4", upgrade.TLS, 4}} {
		b.Run(bb.name, func(b *testing.B) {
			rt := run(b)
			d := newDoor(b, rt, newPerson(b), 0)
			me, out := newPerson(b, only(bb.security)), newProbe(b, rt, "dialler")
			half := map[string]*messages.Link{} // one end is through, by the dialler's address
			b.ReportAllocs()
			b.ResetTimer()
			started := 0
			for ; started < min(bb.inFlight, b.N); started++ {
				dial(b, rt, me, d.addr, d.id, out)
			}
			for done := 0; done < b.N; {
				var l *messages.Link
				var key string
				select {
				case m := <-out.got:
					l = m.(*messages.Upgraded).Link
					key = string(l.Endpoints.Local.Bytes())
				case m := <-d.peers.got:
					l = m.(*messages.Arrived).Link
					key = string(l.Endpoints.Remote.Bytes())
				}
				other := half[key]
				if other == nil {
					half[key] = l
					continue
				}
				delete(half, key)
				l.Close()
				other.Close()
				done++
				if started < b.N {
					started++
					dial(b, rt, me, d.addr, d.id, out)
				}
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "conns/s")
		})
	}
}

// BenchmarkSilent is what a connection costs the node that never says anything, without its
// socket: it gets its upgrade, loses its slot to the next one and is closed.
func BenchmarkSilent(b *testing.B) {
	const slots = 1 << 14 // so many that nobody waits for a tenure to end
	rt := run(b)
	d := newDoor(b, rt, newPerson(b), slots)
	b.ReportAllocs()
	var closed atomic.Int64
	c := fake{&closed, ma.StringCast("/ip4/127.0.0.1/tcp/4001")}
	b.ResetTimer()
	for i := range b.N + slots {
		for int64(i)-closed.Load() > slots+1024 { // never as many as the gate would refuse
			runtime.Gosched()
		}
		_ = d.gate.Send(&messages.Accepted{Conduit: conduit.Conduit{Raw: c}})
	}
	for closed.Load() < int64(b.N) {
		runtime.Gosched()
	}
}

// fake is silence.
type fake struct {
	closed *atomic.Int64
	addr   ma.Multiaddr
}

func (f fake) Endpoints() conduit.Endpoints {
	return conduit.Endpoints{Local: f.addr, Remote: f.addr, Direction: conduit.Inbound, Transport: "fake"}
}
func (f fake) Bind(conduit.Sink, int)         {}
func (f fake) More()                          {}
func (f fake) TryWrite(p []byte) (int, error) { return len(p), nil }
func (f fake) Drain([]byte)                   {}
func (f fake) Close() error                   { f.closed.Add(1); return nil }

// BenchmarkSilentOverTCP is the same with its sockets, the remote's side included.
func BenchmarkSilentOverTCP(b *testing.B) {
	rt := run(b)
	d := newDoor(b, rt, newPerson(b), 64)
	b.ReportAllocs()
	const crowd = 128
	var ring [crowd]net.Conn
	for i := range b.N {
		c, err := net.Dial("tcp", d.host)
		if err != nil {
			b.Fatal(err)
		}
		if old := ring[i%crowd]; old != nil {
			_ = old.Close()
		}
		ring[i%crowd] = c
	}
	b.StopTimer()
	for _, c := range ring {
		if c != nil {
			_ = c.Close()
		}
	}
}

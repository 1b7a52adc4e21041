package simnet_test

import (
	"context"
	"fmt"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/internal/buf"
	"github.com/troupe-p2p/troupe/testkit/simnet"
	"github.com/troupe-p2p/troupe/transports/conduit"

	ma "github.com/multiformats/go-multiaddr"
)

var (
	_ simnet.Scheduler = (*actors.Simulation)(nil)
	_ simnet.Canceler  = (*actors.Runtime)(nil)
)

// reader prints what comes, with the virtual time.
type reader struct {
	sim *actors.Simulation
	c   conduit.Raw
}

func (r *reader) Offer(b *buf.Buf) {
	fmt.Printf("%v: %s\n", r.sim.Elapsed(), b.B)
	b.Release()
	r.c.More()
}
func (r *reader) Drained(error)   {}
func (r *reader) Ended(err error) { fmt.Printf("%v: %v\n", r.sim.Elapsed(), err) }

// accept reads from whoever dials.
type accept struct{ sim *actors.Simulation }

func (a accept) Accepted(c conduit.Conduit) { c.Raw.Bind(&reader{a.sim, c.Raw}, 1) }
func (a accept) Failed(err error)           { fmt.Println(err) }
func (a accept) Degraded(err error)         { fmt.Println(err) }

func Example() {
	sim := actors.Simulated(1, actors.SimOptions{})
	n := simnet.New(sim)
	home, _ := n.Host("home", simnet.HostOptions{NAT: &simnet.NAT{Filtering: simnet.AddressPortDependent}})
	server, _ := n.Host("server", simnet.HostOptions{})
	_ = n.SetDefault(simnet.Link{Latency: 20 * time.Millisecond})

	at := ma.StringCast(fmt.Sprintf("/ip4/%s/tcp/4001", server.Addrs()[0]))
	_, _ = server.Transport(sim.Runtime(), simnet.TransportConfig{}).Listen(at, accept{sim})
	home.Transport(sim.Runtime(), simnet.TransportConfig{}).Dial(context.Background(), at, "", func(c conduit.Conduit, err error) {
		_, _ = c.Raw.TryWrite([]byte("hello"))
		sim.At(sim.Now().Add(time.Second), func() { // into the partition
			_, _ = c.Raw.TryWrite([]byte("are you there?"))
			_ = c.Raw.Close()
		})
	})
	sim.Run(500 * time.Millisecond)
	n.Partition(n.Hosts()[:1], n.Hosts()[1:])
	sim.Run(1500 * time.Millisecond)
	n.Heal()
	sim.Run(time.Minute)
	// Output:
	// 60ms: hello
	// 2.46s: are you there?
	// 2.46s: EOF
}

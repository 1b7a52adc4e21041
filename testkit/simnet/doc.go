// Package simnet is a network inside one process, in virtual time: hosts with addresses, links with
// latency, jitter, bandwidth and loss, NATs and firewalls, partitions, crashes and exact faults.
//
//	n := simnet.New(sim)                                  // sim: *actors.Simulation, or any Scheduler
//	a, err := n.Host("a", simnet.HostOptions{})
//	b, err := n.Host("b", simnet.HostOptions{NAT: home})
//	err = n.SetDefault(simnet.Link{Latency: 20 * time.Millisecond})
//	transport := a.Transport(sim.Runtime(), simnet.TransportConfig{})
//
// The way of a packet:
//
//	send     route: own host, same NAT, public -> the sender's NAT rewrites the source
//	         -> the fault rules look at it -> the link gives it a time: bandwidth, latency, jitter, loss
//	arrive   partitioned or dark host: lost -> the receiver's NAT rewrites the destination, or filters it
//	         -> socket, listener, or a reset back
//
// Streams behave as TCP's do: what is lost is sent again and comes later, never in another order; a
// window stops a writer whose reader does not read; what stays unanswered for StreamTimeout breaks
// the stream; who has forgotten a stream answers its packets with a reset. A stream carries whole
// writes (up to 64 KiB) as one segment, so a batch costs an event or two, and an idle stream costs
// none. Datagrams are lost, doubled and overtaken.
//
// Everything happens in turns of the Scheduler, one call to a sink in each, in an order and with a
// randomness that come from it alone: the same Scheduler gives the same deliveries. Nothing here
// may be called from two goroutines at once.
package simnet

// Package tcp carries Raw conduits over TCP.
//
//	/ip4/A/tcp/P   /ip6/A/tcp/P   /ip6zone/Z/ip6/A/tcp/P
//
//	accept  pump: accept -> AcceptSink.Accepted; without descriptors wait 5 ms ... 320 ms
//	read    pump: wait for a credit -> wait for bytes -> borrow a buffer -> read -> Sink.Offer
//	write   TryWrite: one non-blocking write on the caller's goroutine
//	drain   pump: write, wait until writable, write ... -> Sink.Drained, and the pump ends
//
// A connection is one descriptor until it is bound, and one goroutine without a buffer while it
// is idle: the buffer is borrowed once the socket has something to read. Half a second to a second
// after the last read that goroutine makes room for another one with a small stack.
//
// In a node whose WebSocket transport listens at the same address, the two share the port: the first byte
// says whom a connection is for, and a connection is accepted when it has come. A remote has ten seconds
// for it. Private networks and Windows have none of this.
//
// The data path is that of package transports/internal/sockets, which says what a Sink can rely on
// beside the contract of package conduit.
package tcp

// Package memory carries conduits inside one process.
//
//	/memory/N
//
//	dial     step: find the listener in the Hub -> make two ends -> its AcceptSink, and done
//	raw      TryWrite: copy into the other end's queue, as far as its window goes
//	         Drain: what was left follows as the other end reads
//	         step: one of Offer, Drained, Ended
//	muxed    OpenStream, TryWrite, CloseWrite, CloseRead, Reset: change both ends under one lock
//	         step: one of Accepted, CanOpen, Ended; Offer, Writable, RemoteClosed, Reset of a stream
//
// Transports that share a Hub meet: the nodes of one runtime, or of one simulated world. Config
// says whether a transport yields Raw conduits, which are secured and multiplexed like TCP's, or
// Muxed ones, which stand for QUIC's kind.
//
// Nothing here waits, and nothing but the Executor runs anything: each end has at most one step
// posted, a step makes one call to a sink and posts the next. So the calls for one end come in
// order and never two at a time, and a single goroutine with a queue drives any number of nodes.
//
// What a Sink can rely on is what package tcp promises: one Drained for each Drain, also after
// Close; one Ended for each Bind; no Offer that begins after Close has returned, but for one that
// was on its way on another goroutine. A remote's Close is an orderly end behind all bytes that it
// wrote.
package memory

// Package yamux is the stream multiplexer /yamux/1.0.0 as a pure core.
//
// On the wire everything is a frame: a header of 12 bytes, big endian, and for data a body.
//
//	 0         1         2         4             8             12
//	+---------+---------+---------+-------------+-------------+----------------
//	| version | type    | flags   | stream      | length      | body (data only)
//	+---------+---------+---------+-------------+-------------+----------------
//	  0         0 data    1 SYN     0: session    data: bytes that follow
//	            1 window  2 ACK     odd: client   window: credit; with RST: the reset's code
//	            2 ping    4 FIN     even: server  ping: opaque, echoed
//	            3 goaway  8 RST                   goaway: code
//
// A Session is one end. It has a single caller, does no I/O and has no clock. Its caller gives
// it one input, drains every output, then gives it the next input:
//
//	s.HandleBytes(now, p)                  // or a command, or HandleTimeout
//	for ev, ok := s.Next(); ok; ... {}     // events; Data events borrow from p
//	// p may be reused from here on
//	for hdr, body, ok := s.NextWrite(); ok; ... {} // frames; body borrows from Write's p
//	for ev, ok := s.Next(); ok; ... {}     // Written events give the bodies back
//	t, ok := s.Deadline()                  // re-arm one timer
//
// Commands may be given between two calls of Next. Input is parsed frame by frame as Next asks
// for it, so what one read can make the session hold is what one frame can make it hold.
//
// How this end behaves where the specification leaves a choice, or implementations differ:
//
//   - SYN and ACK ride on the first frame of a stream, a window update or data. FIN always has
//     a window update of its own: go-yamux handles the flags of a data frame before its body,
//     so a reader there can see the end of the stream before the last bytes.
//   - A reset's code travels in the length of a window update with RST, as go-libp2p ships it;
//     RST on a data frame reads as code 0.
//   - Credit returns when the application has consumed, half a window at a time. Windows double
//     while half a window is consumed within four round trips, up to MaxWindow and as far as
//     the connection's WindowBudget goes.
//   - A send window that would pass 2^32-1 is a protocol error, not a saturation: no honest
//     receiver grants what it cannot count.
//   - A violation ends the session: GoAway with code 1 is the last frame. Limits end it with
//     the codes of go-libp2p (0x1001, 0x1002).
//   - Frames for streams that are gone are dropped. What a peer can have had in flight when we
//     reset a stream is free; anything beyond is charged to the control budget.
//   - A remote GoAway of code 0 stops OpenStream and lets streams finish; any other code ends
//     the session. A local GoAway(0) refuses new streams and sends its frame when the last
//     stream has ended, because go-yamux drops every stream on receiving one.
//   - A half-closed stream lives until the other half closes too. A remote that never sends FIN
//     keeps its stream: the caller decides for how long, and ends it with Reset.
package yamux

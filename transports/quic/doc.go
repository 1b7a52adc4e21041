// Package quic carries Muxed conduits over QUIC version 1 (RFC 9000) with libp2p's TLS certificates.
//
//	/ip4/A/udp/P/quic-v1   /ip6/A/udp/P/quic-v1   /ip6zone/Z/ip6/A/udp/P/quic-v1
//
//	socket  one for each address that is listened on, shared with the dials that leave from there;
//	        one for each family for dials without a listener; closed with its last user
//	accept  pump: first flight -> pump: handshake -> AcceptSink.Accepted
//	dial    pump: source address -> handshake, the remote's certificate verified in it -> done
//	stream  pump: a stream of the remote -> MuxedSink.Accepted
//	open    OpenStream now, or pump: wait for the remote's grant, keep the stream -> CanOpen
//	read    pump for each bound stream: wait for bytes -> wait for a credit -> borrow -> Offer
//	write   TryWrite: a few bytes go to the QUIC stack at once; more are kept, up to SendBuffer, and
//	        written by a pump that ends when nothing is left
//	end     the context of the connection -> pump: Reset of each stream, then Ended
//
// Sockets, streams and ends are those of transports/internal/quicstack: with WebTransport in the same node,
// and on the same address, the two share a socket, and of two limits on what a remote may do the wider one
// holds there.
//
// The QUIC stack is quic-go. 0-RTT, unidirectional streams and datagrams are off, and there are no
// session tickets: a resumed session shows no certificate. Keys are logged where Config.KeyLog says so
// and nowhere else.
//
// A node that wants QUIC names the transport, and has its identity proven by it:
//
//	troupe.Config{Transports: []troupe.Transport{quic.Config{}.Transport, troupe.TCP}}
//
// What a sink can rely on, beside the contract of package conduit:
//
//   - The calls for one connection, those of its streams among them, come one at a time.
//   - Nothing is told of a stream behind its Reset, and nothing of the conduit behind its Ended.
//   - Codes of the remote that need more than 32 bits are told as 0xffffffff.
//   - RESET_STREAM ends the stream in both directions; STOP_SENDING alone ends ours, which the next
//     TryWrite tells, after a Writable if one was owed.
//
// Limits that remain:
//
//   - A panic in a goroutine of quic-go ends the process: recover does not reach it, and quic-go parses
//     what remotes send there. A connection has two of them, a socket and a listener two each.
//   - A bound stream holds a goroutine as long as the remote may send: quic-go's reads block.
//   - Connections share the socket of their listener. When the listener closes, the port stays taken
//     until the last of them ends, but for a listener of the same transport, which gets it back.
//   - A dial leaves from a listener's socket only if that is bound to the address that the route
//     starts from, or to all. A dialled connection does not migrate. quic-go follows a client that moves;
//     its endpoints, and the limits that count by address, keep the first address.
//   - A reader without credit that has unread bytes is told of an end behind them, but a reset drops
//     what was not read. Behind CloseRead, a reset of the remote shows only in the next TryWrite.
//   - A stream that was opened for CanOpen and is never used shows to the remote, empty, once a later
//     one is. OpenStream takes it first.
//   - A dialled connection that is closed within the first quarter of a second ends up to that much
//     later, if the remote's stack does not confirm handshakes with a token.
//   - Path costs: one descriptor and four goroutines a socket that listens, two goroutines a connection
//     beside the one that accepts its streams.
//   - A dial to a port where nobody is waits for the handshake's timeout, as QUIC knows no refusal.
//   - A dial-only socket goes with its last connection. If the packet that closes it is lost, the remote
//     finds out by its timeout.
//   - When the system grants small socket buffers, the node's logger is told once, with the command that
//     mends it. quic-go's own line about that, which goes to package log, is turned off for the process
//     by its environment variable, QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING, unless that is set already.
package quic

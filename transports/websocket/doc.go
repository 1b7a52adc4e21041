// Package websocket carries Raw conduits over WebSockets, RFC 6455, in the clear or over TLS.
//
//	/ip4|ip6|dns|dns4|dns6/HOST/tcp/PORT/ws
//	/ip4|ip6|dns|dns4|dns6/HOST/tcp/PORT/tls/ws            also written /wss
//	/ip4|ip6|dns|dns4|dns6/HOST/tcp/PORT/tls/sni/NAME/ws
//	each with /http-path/PATH behind it
//
//	accept  pump: accept -> a pump for each: TLS, request, 101 -> AcceptSink.Accepted
//	dial    pump: TCP, TLS, request, 101 -> done
//	read    pump: wait for a credit -> wait for a message -> borrow a buffer -> read -> Sink.Offer
//	write   TryWrite: frame -> queue -> one non-blocking write on the caller's goroutine
//	        what the socket does not take, or all of it over TLS: pump, while there is something
//	drain   the same pump: frame a piece, write it, frame the next -> Sink.Drained
//
// The bytes of the conduit are the binary messages, one after another; where one ends means
// nothing. Noise or TLS and a muxer go on top, over /wss too: the certificate is that of a host and
// proves no peer. A text message is answered with close code 1003, a message that is too long with
// 1009, frames that break the protocol with 1002, and too many frames without data (pings, empty
// messages) with 1008.
//
// In a node that listens for TCP, for /ws and for /wss at one address, one port serves them: see package tcp.
//
// The library (gorilla/websocket, which go-libp2p speaks too) makes and reads frames and checks
// them. It never sees the socket's writing side: what it writes goes into a bounded queue, so it
// cannot block. It starts no goroutines and is given a connection that is there, so that a panic has
// an owner.
//
// What a Sink can rely on is what package tcp promises, but for the ends:
//
//   - Ended(io.EOF) follows the remote's close frame with code 1000, 1001 or none. The end of the
//     socket alone is an error: it may be a crash. After a close frame nothing can be written.
//   - Close sends a close frame behind what was taken, and takes at most two seconds for both in the
//     background. It does not wait for the remote's.
//
// Limits that remain:
//
//   - An idle connection holds the library's read buffer of 1 KiB, and its reader's stack is not
//     put to rest as that of package tcp is: 6 to 8 KB in all, and 12 KB over TLS (BenchmarkIdle).
//     There crypto/tls keeps a buffer for the largest record that has come, of up to 17 KB.
//   - A reader in the middle of a message holds its buffer, 64 KiB at most, until more of it comes.
//   - Nobody here hears of a remote that fails in TLS or in its request: it was told, or was silent.
//   - Over TLS each write takes a trip through the pump.
//   - The request's Host is an IP address unless the address carries a name when it gets here, or
//     /sni: a proxy that serves many hosts in the clear is not reached by a resolved name.
//   - An address without /tcp, which stands for port 80 or 443, is not taken. Neither are HTTP/2
//     (RFC 8441), compression, redirects and HTTP proxies.
//   - Behind a reverse proxy every remote has the proxy's address, and limits that count by address
//     take all of them for one: X-Forwarded-For is not believed.
//   - On Windows a port is for TCP or for WebSockets, not for both.
package websocket

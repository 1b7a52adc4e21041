// Package webtransport carries Muxed conduits over WebTransport (webtransport/README.md), which is what
// browsers can dial without a certificate of an authority.
//
//	/ip4/A/udp/P/quic-v1/webtransport/certhash/H...   /ip6/...   /ip6zone/Z/ip6/...
//
//	QUIC      ALPN h3. The client knows the certificate by its hash, SHA-256, out of the address
//	HTTP/3    SETTINGS each way; CONNECT /.well-known/libp2p-webtransport?type=noise, :protocol
//	          webtransport or webtransport-h3 -> 200
//	session   0x41, the ID of CONNECT's stream, then a stream of the session
//	Noise     on the first stream, which the client opens: XX, in which the server says all its hashes,
//	          and the client finds among them those that it dialled
//	streams   the others, each with multistream-select and a protocol of libp2p
//	capsule   WT_CLOSE_SESSION on CONNECT's stream: a code and a reason; then QUIC's close with the same
//
// A node that wants WebTransport names the transport. Where it listens for QUIC on the same address the
// two share the socket:
//
//	troupe.Config{Transports: []troupe.Transport{quic.Config{}.Transport, webtransport.Config{}.Transport, troupe.TCP}}
//
// Certificates are made of the node's key and the time: a new one every 13 days, valid for less than 14,
// and the same ones after a restart. The address of a listener names the one in use and the next, and
// conduit.MovingSink hears when that changes; who remembers an address from before has at least one
// hash that is good. Hashes in an address to listen on say nothing.
//
// HTTP/3 is quic-go's package http3, which this package drives itself: no goroutine of a WebTransport
// library runs here, and a stream of libp2p is a stream of QUIC, written and read as in package quic.
//
// What a sink can rely on, beside the contract of package conduit:
//
//   - The calls for one connection, those of its streams among them, come one at a time.
//   - Nothing is told of a stream behind its Reset, and nothing of the conduit behind its Ended.
//   - Codes have 32 bits on the wire, in the range of HTTP/3's that is for applications. Codes of HTTP/3
//     itself, and those of a remote that closes QUIC without a word, are told as 0. go-libp2p sends 0
//     always.
//
// Limits that remain, beside those of package quic:
//
//   - A connection has one session. A second one is refused, and so are requests of any other kind.
//   - Certificates of authorities are neither shown nor taken: an address without a hash cannot be dialled.
//   - A connection has six goroutines where one of QUIC has three: those that read the settings' stream,
//     the capsules and, once the remote says that it knows datagrams, those; http3 drops them.
//   - A stream of the remote that does not say whose it is holds a goroutine and a place among its
//     streams for half a minute.
//   - Close of a connection ends it up to a quarter of a second later, if the remote does not take leave,
//     and three quarters for one that was dialled a moment ago.
//   - Behind the stream of its settings, a remote's unidirectional streams are left unread: five at most.
package webtransport

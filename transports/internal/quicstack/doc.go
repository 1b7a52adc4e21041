// Package quicstack is what the transports over QUIC have in common: sockets that they share, inbound
// handshakes that are counted, and a QUIC connection as a Muxed conduit.
//
//	Stack     the sockets of one node
//	socket    one for each address that is listened on, by one protocol or by several that ALPN tells
//	          apart, shared with the dials that leave from there; one for each family for dials without a
//	          listener; closed with its last user
//	Link      a QUIC connection that is no conduit yet: TLS is done
//	Conn      the conduit: streams, flow control towards their owners, the end
//	Layer     what a protocol puts between the two: heads of streams, codes, how to say goodbye
//
// The QUIC stack is quic-go.
package quicstack

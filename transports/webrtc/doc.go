// Package webrtc carries Muxed conduits over WebRTC-direct, versions 1 and 2.
//
//	/ip4/A/udp/P/webrtc-direct/certhash/H   /ip6/A/udp/P/webrtc-direct/certhash/H   (H: SHA-256, base64url)
//
// What is on the wire, from the outside in:
//
//	UDP     first byte 0-3: STUN; 20-63: DTLS; all else is dropped
//	STUN    Binding requests of the dialler, USERNAME "server:client"; the listener answers, and asks back once
//	          v1  server = client = password = "libp2p+webrtc+v1/" and 32 random characters
//	          v2  server = "libp2p+webrtc+v2/" and the client's password; client and password are its own
//	DTLS    1.2; the dialler is the client, and checks the listener's certificate against the certhash
//	SCTP    streams are data channels: the dialler's have even numbers, the listener's odd ones
//	0       Noise XX, begun by the listener, in frames; prologue "libp2p-webrtc-noise:", the fingerprints of
//	          dialler and listener as multihashes; then the dialler closes its side
//	n       DATA_CHANNEL_OPEN (reliable, ordered, no label), ACK, frames
//	frame   length uvarint, then protobuf {flag=1 FIN|STOP_SENDING|RESET|FIN_ACK, message=2, errorCode=3,
//	          window=1025 (Troupe's)}; 16 KiB at most, of any number of SCTP messages
//	ABORT   ends the connection; its reason is "0x" and eight digits of the code, ": " and words
//
// FIN is answered by FIN_ACK. A channel is closed when both directions have ended: FIN and FIN_ACK, or
// STOP_SENDING, or RESET. window is Troupe's own: how many bytes of a stream its sender takes, counted from
// the stream's begin. Frames of the Noise handshake say the first one, for all streams; who does not see one
// there sends none. docs/adr/0014 has the reasons.
//
//	accept  pump of the socket: ClientHello of a stranger -> pump: DTLS, SCTP, Noise -> AcceptSink.Accepted
//	dial    pump: STUN until an answer comes -> DTLS, SCTP, Noise -> done
//	read    pump for each channel: wait for a message -> frame -> the stream's queue
//	write   TryWrite: frames, as far as window and SendBuffer reach
//	tell    one pump for each connection, while there is something to tell its sinks
//	end     Close or the remote's ABORT: Reset of each stream, then Ended; DTLS and the socket follow
//
// A node that wants WebRTC-direct names the transport, and has its identity proven by it:
//
//	troupe.Config{Transports: []troupe.Transport{webrtc.Config{}.Transport, troupe.TCP}}
//
// What a sink can rely on, beside the contract of package conduit: the calls for one connection, those of its
// streams among them, come one at a time; nothing is told of a stream behind its Reset, and nothing of the
// conduit behind its Ended. RESET ends the stream in both directions; STOP_SENDING alone ends ours.
//
// Limits that remain:
//
//   - A panic in a goroutine of pion ends the process: recover does not reach it, and pion parses what remotes
//     send there. A connection has three of them for DTLS and three for SCTP. STUN is parsed by our own pump.
//   - A remote without windows (all but Troupe) can be stopped only as a whole: a stream that nobody reads holds
//     up the others of its connection, for at most Config.Stall.
//   - A channel holds a goroutine from its open to its close by the remote. SCTP's work for a packet grows with
//     the number of channels, so a remote that does not close them behind us loses the connection.
//   - A remote that closes its channels and answers none of our requests to reset them has each kept by SCTP.
//   - Connections share the socket of their listener. When the listener closes, the port stays taken until the
//     last of them ends, but for a listener of the same transport, which gets it back.
//   - Each dial has a socket of its own: the remote does not see the address that we can be dialled at.
//   - An address is not proven before DTLS's own cookie: a made-up one costs a place among the half-open
//     connections until HandshakeTimeout.
//   - Who is on the way between two ends can move a connection's path: the password of ICE is no secret. DTLS
//     then ends by its timeout.
//   - A close takes up to three quarters of a second behind the scenes: the remote gets time to take the last
//     message of the handshake (250 ms at most) and the ABORT (100 ms). The owner is told at once.
//   - Remotes other than Troupe see the end of a connection without its code.
package webrtc

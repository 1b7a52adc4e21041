// Package contract plays a peer of the official interoperability tests of libp2p. Both of them
// start one program twice, tell it by its environment what to be, and let the two meet by Redis.
//
//	by the words of   test-plans/transport-interop          unified-testing/transport
//	what to use       transport, security, muxer            TRANSPORT, SECURE_CHANNEL, MUXER
//	what to be        is_dialer, ip                         IS_DIALER, LISTENER_IP
//	where to meet     redis_addr (redis:6379)               REDIS_ADDR
//	                  the list listenerAddr                 the list <TEST_KEY>_listener_multiaddr
//	how long          test_timeout_seconds (180)            TEST_TIMEOUT_SECS (180)
//	what to print     a line of JSON                        four lines of YAML
//
//	 1. Read takes the environment; what the peer does not have is refused before anything begins.
//	 2. Both wait until Redis answers a PING.
//	 3. The listener does RPUSH with one address that ends in its peer ID, and waits to be killed.
//	 4. The dialer does BLPOP, dials, pings once, prints a Result and exits 0.
//
// Standard output is for the result alone, logs go to standard error. Whatever goes wrong is said
// there in one line, with an exit code that is not 0.
//
// troupeping is Troupe's peer and goping is go-libp2p's, both with Play; js-libp2p's is
// ../jspeer/contract.js, which shares nothing with them but these words. ../MATRIX.md says who met
// whom.
package contract

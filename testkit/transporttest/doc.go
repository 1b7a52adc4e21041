// Package transporttest holds a transport to what package conduit promises, with one call:
//
//	func TestContract(t *testing.T) {
//		transporttest.Run(t, transporttest.Subject{
//			New: func(t testing.TB, rt *actors.Runtime, key identity.PrivateKey) conduit.Transport {
//				return mine.New(rt, mine.Config{Key: key})
//			},
//			Listen: ma.StringCast("/ip4/127.0.0.1/udp/0/mine"),
//			Break:  func(t testing.TB, c conduit.Conduit) { c.Muxed.(*mine.Conn).Abort() },
//			...
//		})
//	}
//
// Run connects the transport to itself and sees which kind of conduit it yields. Raw and Muxed are
// for conduits that no transport makes: a relayed stream, a muxer put on top of something.
//
//	transport  addresses, dialling, listening, restarts of a listener, who is there
//	raw        bytes: echo, back-pressure, draining, handing over, ends of every kind, misuse
//	muxed      streams: the same, with half-close, resets and codes, limits, ten thousand of them
//
// What the suite is made of is there for tests of one's own: Listen, Dial, Connect and Ends to meet, sinks
// that record, Writer and StreamWriter to write, Carry to see that bytes still come through, and benchmarks.
//
// Nothing here sleeps: each wait ends with an event of the conduit under test or with a failure
// after patience has passed. The tests run one after another and count the buffers and goroutines
// that are left over, so nothing else may run beside them in the process.
package transporttest

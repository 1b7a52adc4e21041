// Package transporttest tests what package conduit promises, for any transport.
//
//	transporttest.Raw(t, func(t *testing.T) transporttest.RawPair { ... })
//	transporttest.Muxed(t, func(t *testing.T) transporttest.MuxedPair { ... })
//	transporttest.Transport(t, transporttest.Subject{ ... })
//
// Nothing here sleeps: each wait ends with an event of the conduit under test or with a failure
// after patience has passed. The tests run one after another, so that buffers and goroutines
// that were left over can be counted.
package transporttest

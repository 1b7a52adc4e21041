// Package contract tests what package conduit promises, for any transport.
//
//	contract.Raw(t, func(t *testing.T) contract.RawPair { ... })
//	contract.Muxed(t, func(t *testing.T) contract.MuxedPair { ... })
//	contract.Transport(t, contract.Subject{ ... })
//
// Nothing here sleeps: each wait ends with an event of the conduit under test or with a failure
// after patience has passed. The tests run one after another, so that buffers and goroutines
// that were left over can be counted.
package contract

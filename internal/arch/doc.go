// Package arch holds tests of the module's source: what each part of the tree may import, what its code
// may do, and rules of the house for files and tests. There is nothing in it to use.
//
//	policy_test.go  who may import whom; change it together with a decision record in docs/adr
//	code_test.go    goroutines, clocks, channels and orders, by layer
//	house_test.go   lengths, package comments, no test that sleeps or skips, licences
//	bounds_test.go  every package that has bounds is in the registry
//	self_test.go    the above do refuse what they are there to refuse
package arch

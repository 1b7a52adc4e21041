// Package envelope is the generated code of envelope.proto: signed envelopes.
package envelope

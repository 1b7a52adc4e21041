// Package plaintext is the generated code of plaintext.proto: the exchange of the plaintext protocol, for tests.
package plaintext

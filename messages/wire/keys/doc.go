// Package keys is the generated code of keys.proto: public and private keys.
package keys

// Package noise is the generated code of noise.proto: what peers tell each other inside the Noise handshake.
package noise

package quic

import "testing"

// Where many handshakes are under way a remote has to show first that it is where it says.
func TestAnAddressIsProvenWhenHandshakesPileUp(t *testing.T) {
	for _, halfOpen := range []int{1, 100} {
		_, b := pair(t, func(c *Config) { c.HalfOpen = halfOpen })
		if b.Proven() != (halfOpen == 1) {
			t.Errorf("with room for %d handshakes: proven is %v", halfOpen, b.Proven())
		}
	}
}

package troupe_test

import (
	"bytes"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/testkit/script"
)

// initial is a long header of QUIC: RFC 9000 section 17.2.
func initial(version string, rest ...byte) []byte {
	head := append([]byte("\xc0"+version+"\x08connect!\x08sourceID"), rest...)
	return append(head, script.Garbage(5, 1200-len(head)).Append(nil)...)
}

// TestB11DatagramsThatAreNone: at most three times as many bytes go out as came in, from a node that serves
// others meanwhile.
func TestB11DatagramsThatAreNone(t *testing.T) {
	const v1 = "\x00\x00\x00\x01"
	attacked(t, datagramGrounds(), func(t *testing.T, v *victim) {
		_, address := hostAndPort(t, v.ListenAddrs()[0])
		for name, datagram := range map[string][]byte{
			"one byte":               {0xc0},
			"nothing":                {},
			"garbage":                script.Garbage(3, 1200).Append(nil),
			"zeros":                  make([]byte, 1200),
			"an unknown version":     initial("\xfa\xce\xb0\x0c", 0, 0x44, 0x9e),
			"version negotiation":    initial("\x00\x00\x00\x00", 0, 0, 0, 1),
			"an Initial of garbage":  initial(v1, 0, 0x44, 0x9e),
			"a Retry of nobody":      append([]byte("\xf0"), initial(v1)[1:]...),
			"a handshake of nobody":  append([]byte("\xe0"), initial(v1)[1:]...),
			"like a stateless reset": append([]byte("\x40"), script.Garbage(4, 60).Append(nil)...),
			"an Initial, cut":        initial(v1, 0, 0x44, 0x9e)[:40],
			"a ClientHello of DTLS":  append([]byte{22, 0xfe, 0xfd, 12: 12, 13: 1}, make([]byte, 11)...),
			"STUN":                   append([]byte("\x00\x01\x00\x00\x21\x12\xa4\x42"), bytes.Repeat([]byte{7}, 12)...),
		} {
			c, err := net.Dial("udp", address)
			if err != nil {
				t.Fatal(err)
			}
			in := 0
			for range 100 {
				n, err := c.Write(datagram)
				if err != nil {
					t.Fatal(err)
				}
				in += n
			}
			out, buffer := 0, make([]byte, 2048)
			_ = c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
			for {
				n, err := c.Read(buffer)
				if err != nil {
					if !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Fatalf("%s: %v", name, err)
					}
					break
				}
				out += n
			}
			if out > 3*in {
				t.Errorf("%s: %d bytes for %d", name, out, in)
			}
			_ = c.Close()
		}
	})
}

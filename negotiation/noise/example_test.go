package noise_test

import (
	"fmt"
	"math/rand/v2"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/negotiation/noise"
)

// Two handshakes talk in memory; a real node reads its randomness from crypto/rand.
func Example() {
	random := rand.NewChaCha8([32]byte{1})
	side := func(initiator bool) (*noise.Handshake, error) {
		key, err := identity.GenerateKey(identity.Ed25519, random)
		if err != nil {
			return nil, err
		}
		static, err := noise.NewStatic(key, random)
		if err != nil {
			return nil, err
		}
		return noise.New(noise.Config{Initiator: initiator, Static: static, Rand: random, Muxers: []string{"/yamux/1.0.0"}})
	}
	dialer, err := side(true)
	if err != nil {
		fmt.Println(err)
		return
	}
	listener, err := side(false)
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 2 {
		if _, err := listener.HandleBytes(dialer.AppendOutput(nil)); err != nil {
			fmt.Println(err)
			return
		}
		if _, err := dialer.HandleBytes(listener.AppendOutput(nil)); err != nil {
			fmt.Println(err)
			return
		}
	}
	d, _ := dialer.Done()
	l, ok := listener.Done()
	fmt.Println("secured:", ok, "muxer:", l.Muxer)

	wire, err := d.Seal.Seal(nil, []byte("hello"))
	if err != nil {
		fmt.Println(err)
		return
	}
	l.Open.Feed(wire)
	text, _, err := l.Open.Next()
	fmt.Printf("%s %v\n", text, err)
	// Output:
	// secured: true muxer: /yamux/1.0.0
	// hello <nil>
}

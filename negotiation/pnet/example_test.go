package pnet_test

import (
	"crypto/rand"
	"fmt"

	"github.com/troupe-p2p/troupe/negotiation/pnet"
)

func Example() {
	key, _ := pnet.GenerateKey(rand.Reader)
	a, _ := pnet.New(key, rand.Reader)
	b, _ := pnet.New(key, rand.Reader)

	words := []byte("between members")
	a.Seal(words)
	got, err := b.Open(append(a.AppendNonce(nil), words...))
	fmt.Printf("%s %v\n", got, err)
	// Output: between members <nil>
}

func ExampleParseKey() {
	key, err := pnet.ParseKey([]byte("/key/swarm/psk/1.0.0/\n/base16/\n" +
		"0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20\n"))
	fmt.Println(key, err)
	// Output: private network d6009dc7d3197fe04dcb287b66875d7e <nil>
}

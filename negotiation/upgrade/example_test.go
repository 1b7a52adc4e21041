package upgrade_test

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/negotiation/noise"
	"github.com/troupe-p2p/troupe/negotiation/upgrade"
)

// Two upgrades talk in memory, with Noise and an early muxer.
func Example() {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	random := rand.NewChaCha8([32]byte{1})
	side := func(role upgrade.Role) (*upgrade.Upgrade, error) {
		key, err := identity.GenerateKey(identity.Ed25519, random)
		if err != nil {
			return nil, err
		}
		static, err := noise.NewStatic(key, random)
		if err != nil {
			return nil, err
		}
		return upgrade.New(upgrade.Config{Role: role, Local: static.Peer(), Noise: static, Rand: random, Security: []string{noise.ID}}, now)
	}
	dialer, err := side(upgrade.Dialer)
	if err != nil {
		fmt.Println(err)
		return
	}
	listener, err := side(upgrade.Listener)
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 2 {
		fmt.Println("listener is", listener.Stage())
		if err := listener.HandleBytes(now, dialer.AppendOutput(nil)); err != nil {
			fmt.Println(err)
			return
		}
		if err := dialer.HandleBytes(now, listener.AppendOutput(nil)); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println("listener is", listener.Stage())
	event, _ := listener.Next()
	done := event.(upgrade.Done)
	fmt.Println(done.Security, done.Muxer, "early:", done.Early)
	// Output:
	// listener is silent
	// listener is securing
	// listener is finished
	// /noise /yamux/1.0.0 early: true
}

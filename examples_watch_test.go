package troupe_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/protocols/demo"
)

// Every actor of the node, at this moment. Beside its name each tells its kind, phase and age, what
// waits for it, its restarts and its last failure.
func ExampleSystem_Tree() {
	here := newNearby()
	bob := here.node()
	defer closeAll(bob)

	var draw func(nodes []actors.Node, depth int)
	draw = func(nodes []actors.Node, depth int) {
		for _, n := range nodes {
			name, _, _ := strings.Cut(n.Name, "-") // node-1, listener-7: the numbers vary
			fmt.Println(strings.Repeat("  ", depth) + name)
			draw(n.Children, depth+1)
		}
	}
	draw(bob.Tree().Roots, 0)
	// Output:
	// node
	//   keepers
	//     book
	//     router
	//   services
	//     identify
	//   movers
	//     peers
	//     gate
	//     listeners
	//       listener
}

// What happens in the node, for one reader. The node never waits for it: a reader that is too
// slow loses the oldest events and is told how many.
func ExampleSystem_Subscribe() {
	here := newNearby()
	alice, bob := here.node(), here.node()
	defer closeAll(alice, bob)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel() // ends the subscription
	events := alice.Subscribe(ctx, 16)

	if _, err := alice.DialAddr(ctx, addr(bob)); err != nil {
		fmt.Println(err)
		return
	}
	for {
		e, lost, err := events.Next(ctx)
		if err != nil {
			fmt.Println(err)
			return
		}
		switch e.Kind {
		case troupe.EventConnected:
			fmt.Println("connected:", e.Peer == bob.ID(), e.Conn.Direction, "lost:", lost)
		case troupe.EventIdentified:
			fmt.Println("identified:", strings.HasPrefix(e.Agent, "troupe/"))
			alice.Disconnect(bob.ID())
		case troupe.EventDisconnected:
			fmt.Println("disconnected, by the remote:", e.Remote)
			return
		}
	}
	// Output:
	// connected: true outbound lost: 0
	// identified: true
	// disconnected, by the remote: false
}

// What the peerstore has learnt of a peer, from identify for instance.
func ExampleSystem_Peer() {
	here := newNearby()
	alice, bob := here.node(), here.node()
	defer closeAll(alice, bob)
	ctx := context.Background()
	events := alice.Subscribe(ctx, 16)
	if _, err := alice.DialAddr(ctx, addr(bob)); err != nil {
		fmt.Println(err)
		return
	}
	for e, _, err := events.Next(ctx); err == nil && e.Kind != troupe.EventIdentified; e, _, err = events.Next(ctx) {
	}

	known, err := alice.Peer(ctx, bob.ID())
	fmt.Println(known.Connected, strings.HasPrefix(known.Agent, "troupe/"), err)
	// Output:
	// true true <nil>
}

// Close ends everything in order. What does not end in time is named, and nothing waits for it.
func ExampleSystem_Close() {
	here := newNearby()
	alice, bob := here.node(), here.node()
	defer closeAll(alice)

	// A handler that looks neither at its stream nor at its context.
	release, entered := make(chan struct{}), make(chan struct{})
	defer close(release)
	hang := demo.Hang(release)
	err := bob.Handle(demo.HangProtocol, troupe.StreamHandler(func(ctx context.Context, s *troupe.Stream) {
		close(entered)
		hang.Run(ctx, s)
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	if _, err := alice.DialAddr(ctx, addr(bob)); err != nil {
		fmt.Println(err)
		return
	}
	s, err := alice.Open(ctx, bob.ID(), demo.HangProtocol)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = s.Write([]byte("are you there?"))
	<-entered

	ctx, cancel := context.WithTimeout(ctx, patience/10)
	defer cancel()
	err = bob.Close(ctx)
	var left *troupe.StragglersError
	if errors.As(err, &left) {
		for _, path := range left.Paths {
			fmt.Println("left behind:", path[strings.LastIndexByte(path, '/')+1:])
		}
	}
	_, err = bob.Open(context.Background(), alice.ID(), troupe.PingProtocol)
	fmt.Println(errors.Is(err, troupe.ErrClosed))
	// Output:
	// left behind: handler
	// true
}

// Every error says whose fault it is, where, whether to try again, and what to do about it.
func ExampleError() {
	here := newNearby()
	alice := here.node()
	defer closeAll(alice)

	_, err := alice.Dial(context.Background(), alice.ID())
	if errors.Is(err, troupe.ErrSelf) {
		fmt.Println("that is me")
	}
	var e *troupe.Error
	if errors.As(err, &e) {
		fmt.Println("origin:", e.Origin)
		fmt.Println("layer:", e.Layer)
		fmt.Println("code:", e.Code)
		fmt.Println("retryable:", e.Retryable)
		fmt.Println("next:", e.Next)
	}
	// Output:
	// that is me
	// origin: local
	// layer: dial
	// code: self
	// retryable: false
	// next: do not dial your own ID
}

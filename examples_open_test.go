package troupe_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/protocols/echo"

	ma "github.com/multiformats/go-multiaddr"
)

// Open dials if it has to, for as long as ctx allows. The protocol is proposed along with the
// first data, so opening a stream costs no round trip.
func ExampleSystem_Open() {
	here := newNearby()
	alice, bob := here.node(), here.node()
	defer closeAll(alice, bob)
	if err := bob.Handle(echo.Protocol, echo.Handler()); err != nil {
		fmt.Println(err)
		return
	}
	alice.AddAddrs(bob.ID(), time.Hour, bob.ListenAddrs()...)

	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := alice.Open(ctx, bob.ID(), echo.Protocol)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = s.Close() }()
	_, _ = io.WriteString(s, "hello")
	_ = s.CloseWrite()
	answer, err := io.ReadAll(s)
	fmt.Println(string(answer), err, s.Protocol(), s.Peer() == bob.ID())
	// Output:
	// hello <nil> /troupe/echo/1.0.0 true
}

// With Confirm, Open waits for the peer's word. With several protocols it always does, and takes
// the first that the peer speaks.
func ExampleSystem_OpenWith() {
	here := newNearby()
	alice, bob := here.node(), here.node()
	defer closeAll(alice, bob)
	ctx := context.Background()
	known := troupe.OpenOptions{Addrs: bob.ListenAddrs(), Confirm: true}

	_, err := alice.OpenWith(ctx, bob.ID(), known, "/chess/1.0.0")
	fmt.Println(errors.Is(err, troupe.ErrProtocolNotSupported))

	s, err := alice.OpenWith(ctx, bob.ID(), known, "/chess/1.0.0", troupe.PingProtocol)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = s.Blocking().Close() }()
	fmt.Println(s.Protocol())

	// NoDial is for those who would rather do without than wait for a dial.
	_, err = alice.OpenWith(ctx, stranger(), troupe.OpenOptions{NoDial: true}, troupe.PingProtocol)
	fmt.Println(errors.Is(err, troupe.ErrNotConnected))
	// Output:
	// true
	// /ipfs/ping/1.0.0
	// true
}

// Dial makes sure that there is a connection, and says what kind.
func ExampleSystem_Dial() {
	here := newNearby()
	alice, bob := here.node(), here.node()
	defer closeAll(alice, bob)
	ctx := context.Background()

	c, err := alice.Dial(ctx, bob.ID(), bob.ListenAddrs()...)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Peer == bob.ID(), c.Direction, c.Transport, c.Security, c.Muxer)

	conns, err := alice.Conns(ctx)
	fmt.Println(len(conns), err)

	// Nobody else can pass for bob: the address is asked for a proof.
	carol := here.node()
	defer closeAll(carol)
	_, err = alice.Dial(ctx, stranger(), carol.ListenAddrs()...)
	fmt.Println(errors.Is(err, troupe.ErrIdentityMismatch))

	alice.Disconnect(bob.ID())
	// Output:
	// true outbound memory /noise /yamux/1.0.0
	// 1 <nil>
	// true
}

// An address with /p2p/ID names the peer too; without it whoever answers is taken.
func ExampleSystem_DialAddr() {
	here := newNearby()
	alice, bob := here.node(), here.node()
	defer closeAll(alice, bob)

	c, err := alice.DialAddr(context.Background(), bob.ListenAddrs()[0].String())
	fmt.Println(c != nil && c.Peer == bob.ID(), err)

	_, err = alice.DialAddr(context.Background(), "bob's house")
	fmt.Println(errors.Is(err, troupe.ErrConfig))
	// Output:
	// true <nil>
	// true
}

func ExampleParseAddr() {
	a, peer, err := troupe.ParseAddr("/ip4/192.0.2.7/tcp/4001/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA")
	fmt.Println(a)
	fmt.Println(peer)
	fmt.Println(err)
	// Output:
	// /ip4/192.0.2.7/tcp/4001
	// 12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA
	// <nil>
}

// One more address while the node runs.
func ExampleSystem_Listen() {
	here := newNearby()
	bob := here.node()
	defer closeAll(bob)

	at, err := bob.Listen(context.Background(), ma.StringCast("/memory/4001"))
	fmt.Println(at, err)
	fmt.Println(len(bob.ListenAddrs()))

	_, err = bob.Listen(context.Background(), ma.StringCast("/ip4/127.0.0.1/udp/1/quic-v1"))
	fmt.Println(errors.Is(err, troupe.ErrListen))
	// Output:
	// /memory/4001 <nil>
	// 2
	// true
}

// Ping measures round trips on a stream of its own.
func ExampleSystem_Ping() {
	here := newNearby()
	alice, bob := here.node(), here.node()
	defer closeAll(alice, bob)
	ctx := context.Background()
	if _, err := alice.DialAddr(ctx, addr(bob)); err != nil {
		fmt.Println(err)
		return
	}

	s, err := alice.Open(ctx, bob.ID(), troupe.PingProtocol)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = s.Close() }()
	for range 3 {
		rtt, err := alice.Ping(ctx, s)
		fmt.Println(rtt > 0, err)
	}
	// Output:
	// true <nil>
	// true <nil>
	// true <nil>
}

package troupe_test

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/asynkron/protoactor-go/actor"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/protocols/echo"

	ma "github.com/multiformats/go-multiaddr"
)

// The examples live in the memory of this process; a node on a network differs in one line, the
// address that it listens on.

// nearby makes nodes that meet in one memory.
type nearby struct{ hub *troupe.MemoryHub }

func newNearby() nearby { return nearby{troupe.NewMemoryHub()} }

// node makes one that listens.
func (n nearby) node() *troupe.System {
	s, err := troupe.New(troupe.Config{
		Listen:     []string{"/memory/0"}, // 0 takes a free one
		Transports: []troupe.Transport{troupe.Memory(n.hub)},
	})
	if err != nil {
		panic(err)
	}
	return s
}

func closeAll(nodes ...*troupe.System) {
	for _, n := range nodes {
		if err := n.Close(context.Background()); err != nil {
			fmt.Println(err)
		}
	}
}

// A node that listens on a free port of the loopback interface. The zero Config makes one that
// only dials.
func ExampleNew() {
	node, err := troupe.New(troupe.Config{
		Listen: []string{"/ip4/127.0.0.1/tcp/0"},
		Limits: troupe.Limits{Conns: 100},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = node.Close(context.Background()) }()

	fmt.Println("addresses:", len(node.ListenAddrs()))
	fmt.Println("has an identity:", node.ID() != "")
	// Output:
	// addresses: 1
	// has an identity: true
}

// Nodes of one process meet in a MemoryHub: for tests and simulations.
func ExampleMemory() {
	hub := troupe.NewMemoryHub()
	node, err := troupe.New(troupe.Config{
		Listen:     []string{"/memory/7"},
		Transports: []troupe.Transport{troupe.Memory(hub), troupe.TCP},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = node.Close(context.Background()) }()

	fmt.Println(node.ListenAddrs())
	// Output:
	// [/memory/7]
}

// Connections that carry streams by themselves, as QUIC's do.
func ExampleMemoryMuxed() {
	node, err := troupe.New(troupe.Config{
		Listen:     []string{"/memory/7"},
		Transports: []troupe.Transport{troupe.MemoryMuxed(troupe.NewMemoryHub())},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = node.Close(context.Background()) }()

	fmt.Println(node.ListenAddrs())
	// Output:
	// [/memory/7]
}

// A Config that cannot work is refused with the name of the field.
func ExampleConfig() {
	_, err := troupe.New(troupe.Config{Listen: []string{"localhost:4001"}})
	fmt.Println(errors.Is(err, troupe.ErrConfig))
	fmt.Println(err)
	// Output:
	// true
	// troupe: new: bad_config (local, config): Config.Listen: malformed multiaddr: "localhost:4001": it must begin with a slash: write /dns/localhost/tcp/4001; mend the named field
}

// upper answers everything in capitals. It is a protocol of its own, as an actor.
type upper struct {
	waiting *troupe.StreamData // written, but the stream takes no more for now
}

// Receive gets the messages of one stream. Credit goes both ways: the remote may send more when
// the turn with its Data is over or, after Hold, with Release; and the handler may write again
// after Blocked when Writable has come.
func (u *upper) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *troupe.StreamData:
		for i, c := range m.B {
			if 'a' <= c && c <= 'z' {
				m.B[i] = c - 'a' + 'A'
			}
		}
		if m.Stream.Write(m.Take()) == troupe.Blocked {
			m.Hold()
			u.waiting = m
		}
	case *troupe.StreamWritable:
		if m := u.waiting; m != nil {
			u.waiting = nil
			m.Release()
		}
	case *troupe.StreamRemoteClosed:
		m.Stream.Close()
	}
}

// Streams go to actors: each gets one of its own, which is supervised and dies with it.
func ExampleActorHandler() {
	here := newNearby()
	alice, bob := here.node(), here.node()
	defer closeAll(alice, bob)

	err := bob.Handle("/upper/1.0.0", troupe.ActorHandler(func() actor.Actor { return &upper{} }))
	if err != nil {
		fmt.Println(err)
		return
	}

	fmt.Println(say(alice, bob, "/upper/1.0.0", "an actor for each stream"))
	// Output:
	// AN ACTOR FOR EACH STREAM <nil>
}

// With a Spec of its own the handler says how much may wait for it.
func ExampleActorHandlerSpec() {
	here := newNearby()
	alice, bob := here.node(), here.node()
	defer closeAll(alice, bob)

	err := bob.Handle("/upper/1.0.0", troupe.ActorHandlerSpec(func(s *troupe.StreamRef) actors.Spec {
		return actors.Spec{
			Kind:    "upper",
			New:     func() actor.Actor { return &upper{} },
			Mailbox: actors.Mailbox{Data: 16},
		}
	}))
	if err != nil {
		fmt.Println(err)
		return
	}

	fmt.Println(say(alice, bob, "/upper/1.0.0", "sixteen at most"))
	// Output:
	// SIXTEEN AT MOST <nil>
}

// Streams go to functions that read and write: each runs in a supervised task.
func ExampleStreamHandler() {
	here := newNearby()
	alice, bob := here.node(), here.node()
	defer closeAll(alice, bob)

	err := bob.Handle("/length/1.0.0", troupe.StreamHandler(func(ctx context.Context, s *troupe.Stream) {
		text, err := io.ReadAll(s)
		if err != nil {
			return // the stream was reset, or ctx is done
		}
		_, _ = fmt.Fprintf(s, "%d bytes", len(text))
	}))
	if err != nil {
		fmt.Println(err)
		return
	}

	fmt.Println(say(alice, bob, "/length/1.0.0", "how long?"))
	// Output:
	// 9 bytes <nil>
}

// say opens a stream, writes all of it, and reads the answer to its end.
func say(from, to *troupe.System, protocol, text string) (string, error) {
	ctx := context.Background()
	if _, err := from.DialAddr(ctx, addr(to)); err != nil {
		return "", err
	}
	s, err := from.Open(ctx, to.ID(), protocol)
	if err != nil {
		return "", err
	}
	defer func() { _ = s.Close() }()
	if _, err := io.WriteString(s, text); err != nil {
		return "", err
	}
	if err := s.CloseWrite(); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(s)
	return string(answer), err
}

// A panic in a handler costs one stream. The peer sees a reset with a code that says so; the
// connection and its other streams go on.
func ExampleSystem_Handle() {
	here := newNearby()
	alice, bob := here.node(), here.node()
	defer closeAll(alice, bob)

	handlers := map[string]troupe.Handler{
		echo.Protocol: echo.Handler(),
		"/bug/1.0.0":  troupe.StreamHandler(func(context.Context, *troupe.Stream) { panic("a bug") }),
	}
	for protocol, h := range handlers {
		if err := bob.Handle(protocol, h); err != nil {
			fmt.Println(err)
			return
		}
	}

	_, err := say(alice, bob, "/bug/1.0.0", "hello")
	fmt.Println(errors.Is(err, troupe.ErrReset))
	fmt.Println(say(alice, bob, echo.Protocol, "still here"))

	// Streams that are open keep their handler; new ones are refused.
	fmt.Println(bob.Unhandle(echo.Protocol))
	_, err = say(alice, bob, echo.Protocol, "gone?")
	fmt.Println(errors.Is(err, troupe.ErrProtocolNotSupported))
	// Output:
	// true
	// still here <nil>
	// <nil>
	// true
}

// A node asks the program who is let in, and keeps those whom it is told to keep.
func ExampleGater() {
	near := newNearby()
	var friend identity.ID
	node, err := troupe.New(troupe.Config{
		Listen:     []string{"/memory/0"},
		Transports: []troupe.Transport{troupe.Memory(near.hub)},
		Gater: troupe.Gater{Dial: func(_ context.Context, peer identity.ID, _ ma.Multiaddr) error {
			if peer != friend {
				return errors.New("not on the list")
			}
			return nil
		}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	alice, eve := near.node(), near.node()
	defer closeAll(node, alice, eve)
	friend = alice.ID()
	if err := node.Protect(friend, "on the list"); err != nil { // never closed to make room for others
		fmt.Println(err)
	}
	for _, other := range []*troupe.System{alice, eve} {
		_, err := node.Dial(context.Background(), other.ID(), other.ListenAddrs()...)
		var gated *troupe.GatedError
		if errors.As(err, &gated) {
			fmt.Printf("%s: %v\n", gated.Hook, gated.Err)
		} else {
			fmt.Println("connected:", err == nil)
		}
	}
	// Output:
	// connected: true
	// Dial: not on the list
}

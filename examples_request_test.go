package troupe_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/identity"
)

// stranger is a peer that nobody knows.
func stranger() identity.ID {
	k, err := identity.GenerateKey(identity.Ed25519, rand.Reader)
	if err != nil {
		panic(err)
	}
	id, err := identity.IDFromKey(k.Public())
	if err != nil {
		panic(err)
	}
	return id
}

// One message there, one back, as protobuf.
func ExampleRequest() {
	here := newNearby()
	alice, bob := here.node(), here.node()
	defer closeAll(alice, bob)
	ctx := context.Background()

	greet := func(_ context.Context, peer identity.ID, name *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
		if name.Value == "" {
			return nil, errors.New("who is there?")
		}
		return wrapperspb.String("hello, " + name.Value), nil
	}
	if err := troupe.Respond(bob, "/greet/1.0.0", greet); err != nil {
		fmt.Println(err)
		return
	}
	if _, err := alice.DialAddr(ctx, addr(bob)); err != nil {
		fmt.Println(err)
		return
	}

	answer, err := troupe.Request[wrapperspb.StringValue](ctx, alice, bob.ID(), "/greet/1.0.0", wrapperspb.String("alice"))
	fmt.Println(answer.GetValue(), err)

	_, err = troupe.Request[wrapperspb.StringValue](ctx, alice, bob.ID(), "/greet/1.0.0", wrapperspb.String(""))
	fmt.Println(errors.Is(err, troupe.ErrRefused), strings.Contains(err.Error(), "who is there?"))
	// Output:
	// hello, alice <nil>
	// true true
}

// The default is protobuf; its types are pointers to generated ones.
func ExampleRespond() {
	here := newNearby()
	bob := here.node()
	defer closeAll(bob)

	var uptime time.Duration // whatever the answer needs
	err := troupe.Respond(bob, "/uptime/1.0.0",
		func(ctx context.Context, peer identity.ID, _ *wrapperspb.BoolValue) (*wrapperspb.Int64Value, error) {
			return wrapperspb.Int64(uptime.Milliseconds()), nil
		})
	fmt.Println(err)
	// Output:
	// <nil>
}

// jsonCodec is a Codec for any Go type.
type jsonCodec struct{}

func (jsonCodec) Marshal(m any) ([]byte, error)   { return json.Marshal(m) }
func (jsonCodec) Unmarshal(b []byte, m any) error { return json.Unmarshal(b, m) }

// Both sides agree on another codec and on a size.
func ExampleCodec() {
	type Question struct{ A, B int }
	type Answer struct{ Sum int }

	here := newNearby()
	alice, bob := here.node(), here.node()
	defer closeAll(alice, bob)
	o := troupe.RequestOptions{Codec: jsonCodec{}, MaxSize: 1 << 10, Timeout: patience}

	err := troupe.RespondWith(bob, "/sum/1.0.0", func(_ context.Context, _ identity.ID, q *Question) (*Answer, error) {
		return &Answer{q.A + q.B}, nil
	}, o)
	if err != nil {
		fmt.Println(err)
		return
	}

	o.Open.Addrs = bob.ListenAddrs() // for a peer that may not be connected yet
	a, err := troupe.RequestWith[Answer](context.Background(), alice, bob.ID(), "/sum/1.0.0", Question{2, 3}, o)
	fmt.Println(a, err)
	// Output:
	// &{5} <nil>
}

// ProtobufCodec takes protobuf messages only, and says so.
func ExampleProtobufCodec() {
	b, err := troupe.ProtobufCodec{}.Marshal(wrapperspb.String("hi"))
	fmt.Printf("%x %v\n", b, err)

	_, err = troupe.ProtobufCodec{}.Marshal("hi")
	fmt.Println(err)
	// Output:
	// 0a026869 <nil>
	// string is not a protobuf message: use a pointer to a generated type, or another Codec
}

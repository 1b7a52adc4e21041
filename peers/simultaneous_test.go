package peers_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/protocols/echo"
)

// TestTwoThatDialEachOtherStayConnected: whole nodes dial each other at the same moment and use
// what they get. Neither may give up its own connection for the other's while the other does the
// same, and in the end they keep one by the rule that both compute.
func TestTwoThatDialEachOtherStayConnected(t *testing.T) {
	const rounds, patience = 5, 20 * time.Second
	for range rounds {
		var nodes [2]*troupe.System
		for i := range nodes {
			n, err := troupe.New(troupe.Config{Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				if err := n.Close(ctx); err != nil {
					t.Error(err)
				}
			}()
			if err := n.Handle(echo.Protocol, echo.Handler()); err != nil {
				t.Fatal(err)
			}
			nodes[i] = n
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		var both sync.WaitGroup
		start := make(chan struct{})
		for i, me := range nodes {
			other := nodes[1-i]
			both.Go(func() {
				<-start
				if _, err := me.Dial(ctx, other.ID(), other.ListenAddrs()[0]); err != nil {
					t.Error(err)
					return
				}
				s, err := me.Open(ctx, other.ID(), echo.Protocol)
				if err != nil {
					t.Error(err)
					return
				}
				defer func() { _ = s.Close() }()
				var b [1]byte
				if _, err := s.Write([]byte("x")); err != nil {
					t.Error(err)
				} else if _, err := s.Read(b[:]); err != nil || b[0] != 'x' {
					t.Error(string(b[:]), err)
				}
			})
		}
		close(start)
		both.Wait()
		tick := time.NewTicker(5 * time.Millisecond)
		for {
			a, err := nodes[0].Conns(ctx)
			b, err2 := nodes[1].Conns(ctx)
			if err != nil || err2 != nil {
				t.Fatalf("two connections are not made one: %v, %v", err, err2)
			}
			if len(a) == 1 && len(b) == 1 {
				break
			}
			<-tick.C
		}
		tick.Stop()
		cancel()
	}
}

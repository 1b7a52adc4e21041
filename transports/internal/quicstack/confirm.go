package quicstack

import (
	"context"
	"sync"
	"time"

	quicgo "github.com/quic-go/quic-go"
)

// farewell is how long a dialled connection that is closed at once waits for the confirmation of its
// handshake. Some QUIC stacks never send the token that stands for it.
const farewell = 250 * time.Millisecond

// confirmation tells when a server has finished the handshake that the client has finished before.
// A client that closes in between may do so with its last words of the handshake still unsent: the
// server never sees a connection then, nor the code. quic-go does not tell when the handshake is
// confirmed, but it hands over the token that a server sends at that moment.
type confirmation struct {
	once  sync.Once
	done  chan struct{}
	until time.Time
}

func newConfirmation() *confirmation { return &confirmation{done: make(chan struct{})} }

// Pop implements quicgo.TokenStore: no token is ever used, since it would show the server who comes
// back.
func (c *confirmation) Pop(string) *quicgo.ClientToken { return nil }

// Put implements quicgo.TokenStore.
func (c *confirmation) Put(string, *quicgo.ClientToken) { c.once.Do(func() { close(c.done) }) }

// missing says that it may still come.
func (c *confirmation) missing() bool {
	if c == nil {
		return false
	}
	select {
	case <-c.done:
		return false
	default:
		return time.Now().Before(c.until)
	}
}

// wait waits for it, for the rest of the time that it has, or for the end of the connection.
func (c *confirmation) wait(conn context.Context) {
	timer := time.NewTimer(time.Until(c.until))
	defer timer.Stop()
	select {
	case <-c.done:
	case <-timer.C:
	case <-conn.Done():
	}
}

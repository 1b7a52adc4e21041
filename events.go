package troupe

import (
	"context"
	"errors"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/messages"
)

// Event is something that happened in the node; Kind says which fields are set.
type Event = messages.Event

// EventKind is the kind of an Event.
type EventKind = messages.EventKind

// The kinds of events.
const (
	EventConnected     = messages.EventConnected
	EventDisconnected  = messages.EventDisconnected
	EventIdentified    = messages.EventIdentified
	EventIdentifyError = messages.EventIdentifyError
	EventListening     = messages.EventListening
	EventListenError   = messages.EventListenError
	EventAddrs         = messages.EventAddrs
	EventPanic         = messages.EventPanic
	EventAbandoned     = messages.EventAbandoned
	EventRefused       = messages.EventRefused
	EventUpgradeError  = messages.EventUpgradeError
)

// Subscription hands out events to one reader.
type Subscription struct{ feed *actors.Feed[Event] }

// Subscribe starts a subscription, which ends with ctx or with the node. It holds the last
// buffer events (default 256 for 0). The node never waits for a reader: one that is too slow
// loses the oldest events and is told how many.
func (s *System) Subscribe(ctx context.Context, buffer int) *Subscription {
	if buffer <= 0 {
		buffer = 256
	}
	return &Subscription{s.hub.Subscribe(ctx, buffer)}
}

// Next waits for an event. lost is how many events were dropped right before it: then look at
// Conns and Tree for the state as it is. The error is ErrClosed after the node has closed, or
// ErrDeadline when ctx or that of Subscribe is done.
func (u *Subscription) Next(ctx context.Context) (e Event, lost uint64, err error) {
	e, lost, err = u.feed.Next(ctx)
	switch {
	case err == nil:
		return e, lost, nil
	case errors.Is(err, ErrClosed):
		return e, 0, ErrClosed.with("subscribe", "", nil)
	}
	return e, 0, ErrDeadline.with("subscribe", "", err)
}

package transports

import (
	"errors"
	"syscall"

	"github.com/troupe-p2p/troupe/messages"
)

// answerOf is what the outcome of an adapter's dial tells of the way to the address. A refusal is an
// answer, and so is whatever a handshake inside of the adapter has failed of.
func answerOf(err error) messages.Answer {
	if err == nil {
		return messages.Answered
	}
	var e interface {
		ByRemote() bool
		Timeout() bool
	}
	switch {
	case !errors.As(err, &e), e.Timeout():
		return messages.NoAnswer
	case !e.ByRemote():
		return messages.NotAsked
	case errors.Is(err, syscall.EHOSTUNREACH): // a router's word
		return messages.NoAnswer
	}
	return messages.Answered
}

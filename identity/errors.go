package identity

import (
	"errors"
	"fmt"
)

// The kinds of failure. Every error of this package wraps one of them.
var (
	// ErrMalformed: the bytes or the text do not follow the format.
	ErrMalformed = errors.New("malformed")
	// ErrLimit: the value follows the format and is larger than this node takes.
	ErrLimit = errors.New("over limit")
	// ErrUnsupported: a key type, curve or payload type that this node does not know.
	ErrUnsupported = errors.New("unsupported")
	// ErrWeakKey: a key that anybody could sign for, or that signing with would give away.
	ErrWeakKey = errors.New("weak key")
	// ErrSignature: the signature was not made over these bytes by this key.
	ErrSignature = errors.New("signature does not verify")
	// ErrMismatch: key, peer ID and record do not belong together.
	ErrMismatch = errors.New("identity mismatch")
	// ErrRandomness: the random source that the caller gave failed.
	ErrRandomness = errors.New("random source failed")
)

// MismatchError says that another peer answered than the one expected. Actual is proven.
type MismatchError struct {
	Expected, Actual ID
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("expected peer %v, %v answered", e.Expected, e.Actual)
}

// Unwrap gives the error its kind.
func (e *MismatchError) Unwrap() error { return ErrMismatch }

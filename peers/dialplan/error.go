package dialplan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/troupe-p2p/troupe/identity"
)

// Error says why a peer could not be dialled: one line for each address.
type Error struct {
	Peer identity.ID
	// Cause is ErrTimeout or ErrNoAddress, or nil when every attempt has failed by itself.
	Cause   error
	Failed  []Skipped // tried, and how it failed
	Skipped []Skipped // not tried, and why
}

func (d *Dial) failure(cause error) error {
	e := &Error{Peer: d.peer, Cause: cause, Skipped: slices.Clone(d.skipped)}
	for _, a := range d.all[:d.next] {
		err := a.err
		if err == nil {
			err = ErrTimeout
		}
		if a.skipped {
			e.Skipped = append(e.Skipped, Skipped{a.Addr, err})
		} else {
			e.Failed = append(e.Failed, Skipped{a.Addr, err})
		}
	}
	if len(e.Failed) == 0 && cause == nil {
		e.Cause = ErrNoAddress
	}
	return e
}

// Error is one line that names the first few addresses.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "dial %s:", e.Peer)
	switch {
	case e.Cause != nil:
		fmt.Fprintf(&b, " %v", e.Cause)
	case len(e.Failed) == 1:
		b.WriteString(" its address has failed")
	default:
		fmt.Fprintf(&b, " all %d addresses have failed", len(e.Failed))
	}
	const most = 4
	sep := "; "
	for i, s := range append(append([]Skipped{}, e.Failed...), e.Skipped...) {
		if i == most {
			fmt.Fprintf(&b, "; and %d more", len(e.Failed)+len(e.Skipped)-most)
			break
		}
		fmt.Fprintf(&b, "%s%s: %v", sep, s.Addr, s.Err)
	}
	return b.String()
}

// Unwrap lets errors.Is find every reason.
func (e *Error) Unwrap() []error {
	var all []error
	if e.Cause != nil {
		all = append(all, e.Cause)
	}
	for _, s := range e.Failed {
		all = append(all, s.Err)
	}
	for _, s := range e.Skipped {
		all = append(all, s.Err)
	}
	return all
}

package mux_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/troupe-p2p/troupe/mux"
	"github.com/troupe-p2p/troupe/mux/yamux"
	"github.com/troupe-p2p/troupe/stream"
)

// A reader that asks errors.Is(err, io.EOF) must not take the end of the connection for the end of
// what it reads: it would believe that it has everything.
func TestOnlyTheEndOfAStreamIsEOF(t *testing.T) {
	below := fmt.Errorf("tcp: remote: %w", io.EOF)
	for _, err := range []error{
		&mux.ConnError{Err: &yamux.ClosedError{Cause: io.EOF}},
		&mux.ConnError{Err: below},
		&mux.ResetError{Err: below},
		&mux.NegotiationError{Err: below},
	} {
		if errors.Is(err, io.EOF) || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%v: is EOF %t, is unexpected EOF %t", err, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF))
		}
	}
	err := error(&mux.ConnError{Err: &yamux.ClosedError{Cause: io.EOF}})
	var closed *yamux.ClosedError
	if !errors.Is(err, stream.ErrConnClosed) || !errors.As(err, &closed) || !closed.Orderly() {
		t.Errorf("%v has lost its cause", err)
	}
}

//go:build !unix

package sockets

import (
	"io"
)

func newSock(nc Socket) (sock, error) { return &waitingSock{nc}, nil }

func endingOf(Socket) error { return io.EOF }

// Writer is not to be had here.
type Writer struct{}

// NewWriter is nil where every write has to wait.
func NewWriter(Socket) *Writer { return nil }

// TryWrite is never called.
func (*Writer) TryWrite([]byte) (int, error) { return 0, nil }

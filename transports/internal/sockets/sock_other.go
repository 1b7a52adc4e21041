//go:build !unix

package sockets

import (
	"io"
)

func newSock(nc Socket) (sock, error) { return &waitingSock{nc}, nil }

func endingOf(Socket) error { return io.EOF }

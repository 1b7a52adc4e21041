//go:build !unix

package quicstack

import (
	"errors"
	"net"
)

// bufferSizes: Windows grants what is asked for.
func bufferSizes(*net.UDPConn) (receive, send int, err error) { return 0, 0, errors.ErrUnsupported }

package sockets

import (
	"fmt"
	"net"
	"os"
	"time"
)

// KeepAlive has a connection probed that is silent for d, or never if d is negative.
func KeepAlive(d time.Duration) net.KeepAliveConfig {
	if d < 0 {
		return net.KeepAliveConfig{Enable: false}
	}
	return net.KeepAliveConfig{Enable: true, Idle: d}
}

// NoAnswer is the error of a dial that was given d.
func NoAnswer(d time.Duration) error {
	return fmt.Errorf("no answer within %s: %w", d, os.ErrDeadlineExceeded)
}

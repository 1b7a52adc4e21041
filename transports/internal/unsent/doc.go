// Package unsent bounds what the kernel keeps for a TCP connection that it cannot send yet, on Linux
// and macOS. With more a write finds the socket full. What waits there can no longer be overtaken, a
// ping or the first bytes of another stream among it, and the kernel's own bound grows to 4 MiB. What
// is sent and not acknowledged does not count, so a long path stays full.
package unsent

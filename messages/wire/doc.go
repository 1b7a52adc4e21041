// Package wire is the home of the protobuf messages, one sub-package per libp2p protocol. See
// README.md for how they are generated and named.
package wire

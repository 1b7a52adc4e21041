// Package peerrecord is the generated code of peerrecord.proto: the addresses that a peer certifies.
package peerrecord

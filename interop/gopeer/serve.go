package main

import (
	"encoding/binary"
	"io"
	"log"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/troupe-p2p/troupe/interop/control"
	"github.com/troupe-p2p/troupe/interop/drive"
)

// serve installs the test protocols. Each handler runs on a goroutine of its stream.
func (p *peerProgram) serve() {
	p.host.SetStreamHandler(control.EchoProtocol, orReset(serveEcho))
	p.host.SetStreamHandler(control.PerfProtocol, orReset(servePerf))
	p.host.SetStreamHandler(control.ResetProtocol, serveReset)
}

// orReset ends a stream in order if the handler was satisfied, and by a reset if not.
func orReset(handle func(network.Stream) error) network.StreamHandler {
	return func(s network.Stream) {
		if err := handle(s); err != nil {
			log.Printf("%s from %s: %v", s.Protocol(), s.Conn().RemotePeer(), err)
			_ = s.Reset()
			return
		}
		_ = s.Close()
	}
}

func serveEcho(s network.Stream) error {
	_, err := io.Copy(s, s)
	return err
}

// servePerf follows the perf spec: the wanted amount, then the upload to its end, and only then
// the download.
func servePerf(s network.Stream) error {
	var want [8]byte
	if _, err := io.ReadFull(s, want[:]); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, s); err != nil {
		return err
	}
	_, err := io.CopyN(s, drive.Zeros{}, int64(binary.BigEndian.Uint64(want[:])&(1<<63-1)))
	return err
}

func serveReset(s network.Stream) {
	var code [4]byte
	if _, err := io.ReadFull(s, code[:]); err != nil {
		_ = s.Reset()
		return
	}
	_ = s.ResetWithError(network.StreamErrorCode(binary.BigEndian.Uint32(code[:])))
}

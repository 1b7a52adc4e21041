package quicstack

import (
	"os"
	"runtime"
	"sync"
)

// wantBuffer is what quic-go asks the system for, in each direction of a socket: with less, packets
// are lost while a goroutine waits for its turn.
const wantBuffer = 7 << 20

// mendBuffers are the commands that lift the system's bound, as root.
var mendBuffers = map[string]string{
	"linux":   "sysctl -w net.core.rmem_max=7500000 net.core.wmem_max=7500000",
	"darwin":  "sysctl -w kern.ipc.maxsockbuf=8441037",
	"freebsd": "sysctl -w kern.ipc.maxsockbuf=8441037",
}

// quicGoComplains is the variable by which quic-go is told to keep its own line about small buffers,
// which it prints through package log, to itself.
const quicGoComplains = "QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING"

var hush = sync.OnceFunc(func() {
	if _, said := os.LookupEnv(quicGoComplains); !said {
		_ = os.Setenv(quicGoComplains, "true")
	}
})

// adviseBuffers tells the node's operator once if a socket's buffers are small. It is for sockets that
// quic-go has set up.
func (t *Stack) adviseBuffers(s *socket) {
	s.measured.Do(func() {
		if receive, send, err := bufferSizes(s.pc); err == nil {
			t.advise(runtime.GOOS, s.bound.String(), receive, send)
		}
	})
}

func (t *Stack) advise(system, socket string, receive, send int) {
	if receive >= wantBuffer && send >= wantBuffer {
		return
	}
	t.advised.Do(func() {
		t.cfg.Warn("the system grants small UDP buffers: QUIC loses packets under load",
			"socket", socket, "receive", receive, "send", send, "wanted", wantBuffer, "mend", mendBuffers[system])
	})
}

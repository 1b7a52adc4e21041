package interop_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/interop/control"
	"github.com/troupe-p2p/troupe/interop/harness"
)

// TestSmokeUnixJS: js-libp2p is the only other one that has Unix sockets and runs here.
func TestSmokeUnixJS(t *testing.T) {
	for _, c := range []struct{ client, server string }{{"troupe", "js"}, {"js", "troupe"}} {
		t.Run(c.client+" dials "+c.server, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "u")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			path := filepath.Join(dir, "s")
			server := harness.StartPeer(t, harness.PeerConfig{Kind: c.server, Security: "noise", Unix: path})
			client := harness.StartPeer(t, harness.PeerConfig{Kind: c.client, Security: "noise"})
			at := harness.UnixAddr(c.client, path) + "/p2p/" + server.ID
			const bytes = 8 << 20
			r := client.MustWithin(t, time.Minute, "every byte is echoed",
				control.Request{Cmd: control.Echo, Addr: at, Bytes: bytes, Streams: 4})
			if r.Transfer.Bytes != bytes {
				t.Errorf("%d bytes were echoed, want %d", r.Transfer.Bytes, bytes)
			}
		})
	}
}

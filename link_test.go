package troupe_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A program is as large as what it names: one over TCP alone has none of what WebSockets take.
func TestANodeWithoutWebSocketsDoesNotLinkThem(t *testing.T) {
	program := filepath.Join(t.TempDir(), "hello")
	if said, err := exec.Command("go", "build", "-o", program, "./examples/hello").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	symbols, err := exec.Command("go", "tool", "nm", program).Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(symbols), "transports/tcp.(*conn)") {
		t.Error("there is no TCP in it: this proves nothing")
	}
	for _, s := range []string{"transports/websocket.(*conn)", "gorilla/websocket.(*Conn)"} {
		if strings.Contains(string(symbols), s) {
			t.Errorf("%s is in it", s)
		}
	}
}

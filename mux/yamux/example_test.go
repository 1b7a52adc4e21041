package yamux_test

import (
	"fmt"
	"time"

	"github.com/troupe-p2p/troupe/mux/yamux"
)

// Two sessions in memory: the client asks, the server answers on the same stream.
func Example() {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	client := yamux.New(yamux.Config{}, yamux.Client, now)
	server := yamux.New(yamux.Config{}, yamux.Server, now)

	id, _ := client.OpenStream(now)
	_ = client.Write(now, id, []byte("how are you?"))
	_ = client.CloseWrite(now, id)

	// carry moves the frames of one session to the other: what a connection does.
	carry := func(from, to *yamux.Session, on func(yamux.Event)) {
		var wire []byte
		for hdr, body, ok := from.NextWrite(); ok; hdr, body, ok = from.NextWrite() {
			wire = append(append(wire, hdr...), body...)
		}
		for ev, ok := from.Next(); ok; ev, ok = from.Next() {
			on(ev) // Written, and what our own frames have ended
		}
		_ = to.HandleBytes(now, wire)
		for ev, ok := to.Next(); ok; ev, ok = to.Next() {
			on(ev)
		}
	}
	carry(client, server, func(ev yamux.Event) {
		switch ev.Kind {
		case yamux.StreamOpened:
			server.Accept(now, ev.ID)
		case yamux.Data:
			fmt.Printf("server got %q\n", ev.P)
			server.Consumed(now, ev.ID, ev.N)
		case yamux.RemoteClosed:
			_ = server.Write(now, ev.ID, []byte("well, thanks"))
			_ = server.CloseWrite(now, ev.ID)
		}
	})
	carry(server, client, func(ev yamux.Event) {
		switch ev.Kind {
		case yamux.Data:
			fmt.Printf("client got %q\n", ev.P)
			client.Consumed(now, ev.ID, ev.N)
		case yamux.StreamClosed:
			fmt.Println("one end closed", ev.ID)
		}
	})
	// Output:
	// server got "how are you?"
	// one end closed 1
	// client got "well, thanks"
	// one end closed 1
}

func ExampleParseHeader() {
	wire := yamux.Header{Type: yamux.TypeWindowUpdate, Flags: yamux.FlagRST, ID: 3, Length: 0x1002}.Append(nil)
	fmt.Printf("% x\n", wire)
	h, err := yamux.ParseHeader(wire)
	fmt.Println(h.ID, h.Flags == yamux.FlagRST, h.Length == yamux.ResetResourceLimit, err)
	// Output:
	// 00 01 00 08 00 00 00 03 00 00 10 02
	// 3 true true <nil>
}

func ExampleBounds() {
	fmt.Println(yamux.Bounds()[1])
	// Output: mux/yamux: inbound streams not accepted <= 256 (SYN flood)
}

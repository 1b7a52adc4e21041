package multistream_test

import (
	"fmt"

	"github.com/troupe-p2p/troupe/negotiation/multistream"
)

// The dialer prefers a version that the listener does not have.
func Example() {
	d, err := multistream.NewDialer("/chat/2.0.0", "/chat/1.0.0")
	if err != nil {
		fmt.Println(err)
		return
	}
	l := multistream.NewListener(multistream.OneOf("/chat/1.0.0"))
	for {
		toListener := d.AppendOutput(nil)
		if _, err := l.HandleBytes(toListener); err != nil {
			fmt.Println(err)
			return
		}
		toDialer := l.AppendOutput(nil)
		fmt.Printf("%q\n%q\n", toListener, toDialer)
		if _, err := d.HandleBytes(toDialer); err != nil {
			fmt.Println(err)
			return
		}
		if p, ok := d.Done(); ok {
			fmt.Println("agreed on", p)
			return
		}
	}
	// Output:
	// "\x13/multistream/1.0.0\n\f/chat/2.0.0\n"
	// "\x13/multistream/1.0.0\n\x03na\n"
	// "\f/chat/1.0.0\n"
	// "\f/chat/1.0.0\n"
	// agreed on /chat/1.0.0
}

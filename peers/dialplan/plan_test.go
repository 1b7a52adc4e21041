package dialplan

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/addrs"
	"github.com/troupe-p2p/troupe/identity"

	ma "github.com/multiformats/go-multiaddr"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func peerID(n byte) identity.ID {
	b := make([]byte, 34)
	b[0], b[1], b[2] = 0x12, 32, n
	return identity.ID(b)
}

var alice, bob, self = peerID(1), peerID(2), peerID(9)

func addr(t testing.TB, s string) ma.Multiaddr {
	t.Helper()
	a, err := addrs.ParseString(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func list(t testing.TB, all ...string) (out []ma.Multiaddr) {
	for _, s := range all {
		out = append(out, addr(t, s))
	}
	return out
}

// Short names for addresses, so that plans can be read.
const (
	quic4, quic4b = "/ip4/1.1.1.1/udp/1/quic-v1", "/ip4/1.1.1.1/udp/2/quic-v1"
	quic6, quic6b = "/ip6/2606::1/udp/1/quic-v1", "/ip6/2606::1/udp/2/quic-v1"
	wt4           = "/ip4/1.1.1.1/udp/1/quic-v1/webtransport"
	tcp4, tcp4b   = "/ip4/1.1.1.1/tcp/1", "/ip4/1.1.1.1/tcp/2"
	tcp6          = "/ip6/2606::1/tcp/1"
	ws4           = "/ip4/1.1.1.1/tcp/1/ws"
	rtc4          = "/ip4/1.1.1.1/udp/3/webrtc-direct"
	lanQuic       = "/ip4/192.168.1.1/udp/1/quic-v1"
	lanTCP        = "/ip4/192.168.1.1/tcp/1"
	mem           = "/memory/7"
)

func TestRankSchedule(t *testing.T) {
	relay := tcp4 + "/p2p/" + bob.String() + "/p2p-circuit"
	relayQuic := quic4 + "/p2p/" + bob.String() + "/p2p-circuit"
	type at struct {
		addr string
		ms   int
	}
	for _, c := range []struct {
		name string
		in   []string
		want []at
	}{
		{"nothing", nil, nil},
		{"one address at once", []string{tcp4}, []at{{tcp4, 0}}},
		{"the same twice", []string{tcp4, tcp4 + "/p2p/" + alice.String(), tcp4}, []at{{tcp4, 0}}},
		{"QUIC before TCP", []string{tcp4, quic4}, []at{{quic4, 0}, {tcp4, 250}}},
		{"IPv6 before IPv4", []string{tcp4, tcp6}, []at{{tcp6, 0}, {tcp4, 250}}},
		{"all four", []string{tcp4, tcp6, quic4, quic6}, []at{{quic6, 0}, {quic4, 250}, {tcp6, 500}, {tcp4, 750}}},
		{"the other family is second, the rest follow together",
			[]string{quic6, quic6b, quic4, quic4b}, []at{{quic6, 0}, {quic4, 250}, {quic6b, 500}, {quic4b, 500}}},
		{"of one family the rest follow together",
			[]string{tcp4, tcp4b, ws4}, []at{{tcp4, 0}, {tcp4b, 250}, {ws4, 250}}},
		{"plain before wrapped", []string{wt4, quic4}, []at{{quic4, 0}, {wt4, 250}}},
		{"the order of the input among equals", []string{tcp4b, tcp4}, []at{{tcp4b, 0}, {tcp4, 250}}},
		{"this network in smaller steps, beside the internet",
			[]string{tcp4, lanTCP, quic4, lanQuic}, []at{{lanQuic, 0}, {quic4, 0}, {lanTCP, 30}, {tcp4, 250}}},
		{"other transports a second after the last", []string{rtc4, tcp4, quic4}, []at{{quic4, 0}, {tcp4, 250}, {rtc4, 1250}}},
		{"or at once if there is nothing else", []string{rtc4}, []at{{rtc4, 0}}},
		{"relayed last", []string{relay, relayQuic, quic4, tcp4}, []at{{quic4, 0}, {tcp4, 250}, {relayQuic, 500}, {relay, 750}}},
		{"relayed at once if there is nothing else", []string{relay}, []at{{relay, 0}}},
		{"relayed soon if only this network is beside it", []string{relay, lanTCP}, []at{{lanTCP, 0}, {relay, 100}}},
		{"memory first", []string{tcp4, mem}, []at{{mem, 0}, {tcp4, 0}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan, skipped := Rank(epoch, Input{Self: self, Peer: alice, Addrs: list(t, c.in...)})
			var got []at
			for _, a := range plan {
				got = append(got, at{a.Addr.String(), int(a.Delay / time.Millisecond)})
			}
			var want []at
			for _, w := range c.want {
				want = append(want, at{addr(t, w.addr).String(), w.ms})
			}
			if fmt.Sprint(got) != fmt.Sprint(want) || len(skipped) != 0 {
				t.Fatalf("got  %v\nwant %v\nskipped %v", got, want, skipped)
			}
		})
	}
}

func TestRankSaysWhyAnAddressIsLeftOut(t *testing.T) {
	var memo Backoff
	memo.Failed(epoch, nil, alice, addr(t, tcp4b), errors.New("refused"))
	in := Input{
		Self: self, Peer: alice, Backoff: &memo,
		Own:     list(t, "/ip4/192.168.1.7/tcp/4001", "/ip4/192.168.1.7/udp/4001/quic-v1"),
		CanDial: func(a ma.Multiaddr) bool { return addrs.Transport(a) != "webtransport" },
	}
	for _, c := range []struct {
		addr string
		want error
	}{
		{tcp4, nil},
		{tcp4 + "/p2p/" + alice.String(), nil},
		{tcp4 + "/p2p/" + bob.String(), ErrOtherPeer},
		{tcp4 + "/p2p/" + self.String(), ErrOtherPeer},
		{"/p2p/" + alice.String(), ErrNoTransport},
		{"/ip4/192.168.1.7/tcp/4001", ErrOwn},
		{"/ip4/192.168.1.7/tcp/4001/ws", ErrOwn},
		{"/ip4/192.168.1.7/tcp/4002", nil},
		{"/ip4/192.168.1.7/udp/4001/quic-v1", ErrOwn},
		{"/ip4/0.0.0.0/tcp/4001", ErrUnspecified},
		{"/ip6/::/tcp/4001", ErrUnspecified},
		{wt4, ErrNoTransport},
		{tcp4 + "/p2p/" + bob.String() + "/p2p-circuit", nil},
		{tcp4 + "/p2p/" + self.String() + "/p2p-circuit", ErrOwn},
		{tcp4 + "/p2p/" + alice.String() + "/p2p-circuit", ErrRelayLoop},
		{"/ip4/192.168.1.7/tcp/4001/p2p/" + bob.String() + "/p2p-circuit", nil},
	} {
		in.Addrs = list(t, c.addr)
		plan, skipped := Rank(epoch, in)
		if c.want == nil {
			if len(plan) != 1 || len(skipped) != 0 {
				t.Errorf("%s: %v, %v", c.addr, plan, skipped)
			}
		} else if len(plan) != 0 || len(skipped) != 1 || !errors.Is(skipped[0].Err, c.want) || !skipped[0].Addr.Equal(in.Addrs[0]) {
			t.Errorf("%s: %v, %v, want %v", c.addr, plan, skipped, c.want)
		}
	}
	in.Addrs = list(t, tcp4b)
	_, skipped := Rank(epoch, in)
	var b *BackoffError
	if len(skipped) != 1 || !errors.As(skipped[0].Err, &b) || b.Fails != 1 || !strings.Contains(b.Error(), "refused") {
		t.Fatalf("%v", skipped)
	}
	in.Backoff = nil
	if plan, _ := Rank(epoch, in); len(plan) != 1 {
		t.Fatal("a dial that the user asked for is held back")
	}
	in.Peer, in.Addrs = "", list(t, tcp4+"/p2p/"+bob.String(), tcp4b+"/p2p/"+self.String())
	plan, skipped := Rank(epoch, in)
	if len(plan) != 1 || len(skipped) != 1 || !errors.Is(skipped[0].Err, ErrOwn) {
		t.Fatalf("without an expected peer: %v, %v", plan, skipped)
	}
}

func TestAHundredTimesTheAddressesAreNotDialled(t *testing.T) {
	var in Input
	for i := range 100 * MaxAttempts {
		in.Addrs = append(in.Addrs, addr(t, fmt.Sprintf("/ip4/1.1.%d.%d/tcp/1", i/256, i%256)))
	}
	in.Addrs[len(in.Addrs)-1] = addr(t, quic4)
	plan, skipped := Rank(epoch, in)
	if len(plan) != MaxAttempts || len(skipped) != maxInput-MaxAttempts+1 {
		t.Fatalf("%d are dialled, %d are left out", len(plan), len(skipped))
	}
	for _, s := range skipped {
		if !errors.Is(s.Err, ErrTooMany) {
			t.Fatalf("%v: %v", s.Addr, s.Err)
		}
	}
}

func TestBoundsNameTheirAttack(t *testing.T) {
	for _, b := range Bounds() {
		if b.Name == "" || b.Cap <= 0 || b.Attack == "" {
			t.Errorf("incomplete bound %+v", b)
		}
	}
}

// FuzzRank checks what holds of every plan.
func FuzzRank(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11})
	f.Add([]byte("any addresses in any order"))
	all := list(f, quic4, quic4b, quic6, quic6b, wt4, tcp4, tcp4b, tcp6, ws4, rtc4, lanQuic, lanTCP, mem,
		"/ip4/0.0.0.0/tcp/1", "/dns4/example.com/tcp/1", "/p2p/"+bob.String(),
		tcp4+"/p2p/"+bob.String()+"/p2p-circuit", quic6+"/p2p/"+bob.String()+"/p2p-circuit/p2p/"+alice.String())
	f.Fuzz(func(t *testing.T, order []byte) {
		in := Input{Self: self, Peer: alice}
		distinct := map[string]bool{}
		for _, b := range order {
			a := all[int(b)%len(all)]
			in.Addrs = append(in.Addrs, a)
			distinct[a.String()] = true
		}
		plan, skipped := Rank(epoch, in)
		if len(plan) > MaxAttempts || len(plan) > len(distinct) || len(plan)+len(skipped) > len(in.Addrs) {
			t.Fatalf("%d attempts and %d skipped of %d", len(plan), len(skipped), len(in.Addrs))
		}
		seen := map[string]bool{}
		for i, a := range plan {
			if seen[a.Addr.String()] {
				t.Fatalf("%s is dialled twice", a.Addr)
			}
			seen[a.Addr.String()] = true
			if i == 0 && a.Delay > relayDelay || i > 0 && a.Delay < plan[i-1].Delay {
				t.Fatalf("attempt %d waits %v", i, a.Delay)
			}
			if strings.Contains(a.Addr.String(), "/p2p/"+alice.String()) {
				t.Fatalf("%s still names the peer", a.Addr)
			}
		}
	})
}

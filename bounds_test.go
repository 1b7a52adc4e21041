package troupe_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/transports/quic"
	"github.com/troupe-p2p/troupe/transports/unix"
	"github.com/troupe-p2p/troupe/transports/webrtc"
	"github.com/troupe-p2p/troupe/transports/websocket"
	"github.com/troupe-p2p/troupe/transports/webtransport"
)

// allBounds is the registry, with the lists of the transports that the node does not link.
func allBounds() []troupe.Bound {
	return slices.Concat(troupe.Bounds(), quic.Bounds(), unix.Bounds(), webrtc.Bounds(), websocket.Bounds(), webtransport.Bounds())
}

func TestBoundRegistryNamesEachBoundOnceWithItsCapAndItsAttack(t *testing.T) {
	seen := map[string]bool{}
	for _, b := range allBounds() {
		where, what, ok := strings.Cut(b.Name, ": ")
		if !ok || where == "" || what == "" || seen[b.Name] {
			t.Errorf("%q is not one name of a place and what it holds", b.Name)
		}
		seen[b.Name] = true
		if b.Cap <= 0 || b.Attack == "" {
			t.Errorf("%v", b)
		}
	}
}

// boundTest is a test of a package that feeds a bound which cannot be fed from outside.
type boundTest struct{ pkg, name string }

// TestBoundsHoldAgainstAHundredTimesTheirCaps feeds every container of the registry a hundred
// times what it may hold, and none holds more. What needs a package's inside to be fed is fed
// by a test of that package, which has to be there.
func TestBoundsHoldAgainstAHundredTimesTheirCaps(t *testing.T) {
	drivers, elsewhere := boundDrivers(), boundTests()
	for _, b := range allBounds() {
		drive, own := drivers[b.Name], elsewhere[b.Name]
		switch {
		case drive == nil && own == boundTest{}:
			t.Errorf("%s: nobody feeds it", b.Name)
		case drive != nil && own != boundTest{}:
			t.Errorf("%s: is fed twice", b.Name)
		case drive != nil:
			t.Run(b.Name, func(t *testing.T) {
				if most := drive(t, b); most > b.Cap {
					t.Fatalf("held %d, at most %d may be", most, b.Cap)
				} else if most == 0 {
					t.Fatal("nothing was ever in it: this proves nothing")
				}
			})
		default:
			if !own.exists(t) {
				t.Errorf("%s: there is no %s in %s to feed it", b.Name, own.name, own.pkg)
			}
		}
		delete(drivers, b.Name)
		delete(elsewhere, b.Name)
	}
	for name := range drivers {
		t.Errorf("%s is fed and is no bound", name)
	}
	for name := range elsewhere {
		t.Errorf("%s is fed elsewhere and is no bound", name)
	}
}

// exists says whether the package has that test, for whatever platform.
func (b boundTest) exists(t *testing.T) bool {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(b.pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == b.name {
				return true
			}
		}
	}
	return false
}

// boundTests are the bounds that a test of their own package feeds.
func boundTests() map[string]boundTest {
	out := map[string]boundTest{}
	for test, names := range map[boundTest][]string{
		{".", "TestAHookThatNeverReturnsIsListed"}: {"gater: calls that have not returned"},
		{"actors", "TestBoundsHold"}: {
			"actors/dispatcher: idle workers kept, by default",
			"actors/lane: places that an empty lane keeps",
			"actors/mailbox: control messages that wait for one actor, by default",
			"actors/mailbox: data messages that wait for one actor, by default",
			"actors/mailbox: stops that wait for one actor whose mailbox is full",
			"actors/reaper: entries of one actor",
			"actors/supervisor: places of children kept when all are gone",
			"actors/tree: actors remembered after their end",
			"actors/tree: panics remembered with their stacks",
		},
		{"identity", "TestAddressesOfARecordAreBound"}:     {"identity: addresses of a peer record"},
		{"identity", "TestEnvelopeSizeIsBoundBothWays"}:    {"identity: bytes of an envelope"},
		{"mux", "TestAConnectionHoldsWhatIsFreeAndNoMore"}: {"mux: bytes unread on one connection that are not counted"},
		{"mux/yamux", "TestAllowanceForLateFramesIsCapped"}: {
			"mux/yamux: bytes of late data allowed for ended streams",
			"mux/yamux: late control frames allowed for ended streams",
		},
		{"mux/yamux", "TestFloodsOfFramesWithoutEffectEndTheSession"}: {"mux/yamux: control frames without effect at once"},
		{"mux/yamux", "TestWindowsShareTheBudget"}:                    {"mux/yamux: bytes by which windows grow in sum"},
		{"negotiation/noise", "TestEmptyFramesAreToleratedWithinTheBound"}: {
			"negotiation/noise: frames without data in a row",
		},
		{"negotiation/noise", "TestPayloadThatProvesNothingIsRefused"}: {
			"negotiation/noise: certificate hashes of a payload",
			"negotiation/noise: muxer names of a payload",
		},
		{"negotiation/tls", "TestForgedCertificatesAreRefused"}: {"negotiation/tls: bytes of a certificate"},
		{"negotiation/tls", "TestHandshakeIsBoundedAsAWhole"}:   {"negotiation/tls: bytes of a handshake"},
		{"negotiation/tls", "TestKeyUpdateFloodIsBounded"}:      {"negotiation/tls: bytes to send that nobody wrote"},
		{"peers", "TestNewcomersThatWaitForRoomAreBounded"}:     {"peers: newcomers that wait for the end of another connection"},
		{"protocols/identify", "TestObservedAddressesAreCountedShownAndBounded"}: {
			"protocols/identify: addresses of ours that peers observe",
		},
		{"protocols/ping/pingcore", "TestResponderFloodedWithPingsHoldsNoMoreThanItsCap"}: {
			"protocols/ping: bytes of answers that wait for a stream",
		},
		{"transports/dnsaddr", "TestANameThatMultipliesIsBounded"}: {
			"transports/dnsaddr: addresses of one name",
			"transports/dnsaddr: look-ups for one name",
		},
		{"transports/memory", "TestAListenerHoldsABoundedBacklog"}: {
			"transports/memory: connections that a listener has not handed over",
		},
		{"transports/memory", "TestMuxedKeepsTheContract"}: {
			"transports/memory: streams that a remote has open on one conduit",
		},
		{"transports/memory", "TestRawKeepsTheContract"}: {"transports/memory: bytes that wait for one reader"},
		{"transports/internal/sockets", "TestReadsGrowWithABurstAndShrinkAfterIt"}: {
			"transports/netconn: bytes of one read",
			"transports/tcp: bytes of one read",
			"transports/unix: bytes of one read",
			"transports/websocket: bytes of one read",
		},
		{"transports/internal/sockets", "TestWhoSaysNothingAtASharedPortIsBounded"}: {
			"transports/tcp: connections to shared ports that have sent nothing",
		},
		{"transports/quic", "TestBytesThatWaitToBeSentAreBounded"}: {
			"transports/quic: bytes of one stream that wait to be sent",
		},
		{"transports/internal/quicstack", "TestHandshakesUnderWayAreBounded"}: {
			"transports/quic: inbound handshakes under way on one socket",
		},
		{"transports/quic", "TestResetsInAStormEndTheConnection"}: {
			"transports/quic: streams of one connection reset by the remote that opened them, at once",
		},
		{"transports/quic", "TestTransportKeepsTheContract"}: {
			"transports/quic: bytes of one stream that nobody has read",
			"transports/quic: streams that a remote has open on one connection",
		},
		{"transports/quic", "TestUnreadBytesOfAConnectionAreBounded"}: {
			"transports/quic: bytes of one connection that nobody has read",
		},
		{"transports/quic", "TestWindowsShareTheirGrowth"}: {
			"transports/quic: bytes that the windows of all connections have grown by",
		},
		{"transports/webrtc", "TestAddressesThatSentChecksAreBounded"}: {
			"transports/webrtc: addresses of one socket that have sent checks",
		},
		{"transports/webrtc", "TestBytesOfAConnectionThatWaitToBeSentAreBounded"}: {
			"transports/webrtc: bytes of one connection that wait to be sent",
		},
		{"transports/webrtc", "TestBytesThatWaitToBeSentAreBounded"}: {
			"transports/webrtc: bytes of one stream that wait to be sent",
		},
		{"transports/webrtc", "TestChannelsBeforeTheHandshakeAreBounded"}: {
			"transports/webrtc: channels of a remote that has not proven who it is",
		},
		{"transports/webrtc", "TestChannelsThatAreNotAcknowledgedAreBounded"}: {
			"transports/webrtc: channels of one connection that are over and not acknowledged",
		},
		{"transports/webrtc", "TestChannelsThatLingerAreBounded"}: {
			"transports/webrtc: channels of one connection that the remote has not closed behind us",
		},
		{"transports/webrtc", "TestDatagramsThatWaitAreBounded"}: {
			"transports/webrtc: bytes of datagrams that wait for one connection",
		},
		{"transports/webrtc", "TestHandshakesUnderWayAreBounded"}: {
			"transports/webrtc: inbound handshakes under way on one socket",
		},
		{"transports/webrtc", "TestResetsInAStormEndTheConnection"}: {
			"transports/webrtc: streams of one connection reset by the remote that opened them, at once",
		},
		{"transports/webrtc", "TestSmallMessagesThatWaitToBeSentAreBounded"}: {
			"transports/webrtc: messages of one stream that wait to be sent",
		},
		{"transports/webrtc", "TestStreamsOfARemoteAreBounded"}: {
			"transports/webrtc: streams that a remote has open on one connection",
		},
		{"transports/webrtc", "TestUnreadBytesAreBoundedWithoutWindows"}: {
			"transports/webrtc: bytes of one stream that nobody has read",
			"transports/webrtc: bytes that SCTP keeps of one connection",
		},
		{"transports/webrtc", "TestUnreadBytesOfAConnectionAreBoundedWithWindows"}: {
			"transports/webrtc: bytes of one connection that nobody has read",
		},
		{"transports/webrtc", "TestUnreadBytesOfAConnectionAreBounded"}: {
			"transports/webrtc: bytes of one connection that nobody has read",
		},
		{"transports/webrtc", "TestWhatIsNoStreamIsReset"}: {
			"transports/webrtc: bytes of one frame",
		},
		{"transports/websocket", "TestAFloodOfFramesWithoutDataEndsTheConnection"}: {
			"transports/websocket: bytes without data at once",
		},
		{"transports/websocket", "TestAMessageWithoutEndIsRefused"}: {
			"transports/websocket: bytes of one message",
		},
		{"transports/websocket", "TestWhatIsNoWebSocketIsAnswered"}: {
			"transports/websocket: bytes of an HTTP header",
		},
		{"transports/websocket", "TestPingsOfARemoteThatDoesNotReadAreBounded"}: {
			"transports/websocket: bytes that wait for a socket",
		},
		{"transports/websocket", "TestAFloodOfHandshakesIsBounded"}: {
			"transports/websocket: connections in their handshake",
		},
		{"transports/webtransport", "TestAHeaderWithoutEndIsRefused"}: {
			"transports/webtransport: bytes of an HTTP header",
		},
		{"transports/webtransport", "TestALastWordWithoutEndIsRefused"}: {
			"transports/webtransport: bytes of a session's last word",
		},
		{"transports/webtransport", "TestBytesThatWaitToBeSentAreBounded"}: {
			"transports/webtransport: bytes of one stream that wait to be sent",
		},
		{"transports/webtransport", "TestRequestsWithoutASessionAreCounted"}: {
			"transports/webtransport: requests of a remote that has no session",
		},
		{"transports/webtransport", "TestResetsInAStormEndTheConnection"}: {
			"transports/webtransport: streams of one connection reset or refused, at once",
		},
		{"transports/webtransport", "TestSessionsWithoutNoiseAreBounded"}: {
			"transports/webtransport: inbound handshakes under way on one socket",
		},
		{"transports/webtransport", "TestTransportKeepsTheContract"}: {
			"transports/webtransport: bytes of one stream that nobody has read",
			"transports/webtransport: streams that a remote has open on one connection",
		},
		{"transports/webtransport", "TestUnidirectionalStreamsOfNoKindAreCounted"}: {
			"transports/webtransport: unidirectional streams before that of the settings",
		},
		{"transports/webtransport", "TestUnreadBytesOfAConnectionAreBounded"}: {
			"transports/webtransport: bytes of one connection that nobody has read",
		},
		{"transports/webtransport", "TestWindowsShareTheirGrowth"}: {
			"transports/webtransport: bytes that the windows of all connections have grown by",
		},
	} {
		for _, name := range names {
			out[name] = test
		}
	}
	return out
}

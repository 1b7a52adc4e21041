package troupe

import (
	"slices"
	"strings"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/addrs"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/bound"
	"github.com/troupe-p2p/troupe/mux"
	"github.com/troupe-p2p/troupe/mux/yamux"
	"github.com/troupe-p2p/troupe/negotiation/admission"
	"github.com/troupe-p2p/troupe/negotiation/multistream"
	"github.com/troupe-p2p/troupe/negotiation/noise"
	"github.com/troupe-p2p/troupe/negotiation/plaintext"
	"github.com/troupe-p2p/troupe/negotiation/tls"
	"github.com/troupe-p2p/troupe/negotiation/upgrade"
	"github.com/troupe-p2p/troupe/peers"
	"github.com/troupe-p2p/troupe/peers/connset"
	"github.com/troupe-p2p/troupe/peers/dialplan"
	"github.com/troupe-p2p/troupe/peers/limits"
	"github.com/troupe-p2p/troupe/peers/story"
	"github.com/troupe-p2p/troupe/peerstore/book"
	"github.com/troupe-p2p/troupe/protocols/identify"
	"github.com/troupe-p2p/troupe/protocols/identify/message"
	"github.com/troupe-p2p/troupe/protocols/perf/perfcore"
	"github.com/troupe-p2p/troupe/protocols/ping/pingcore"
	"github.com/troupe-p2p/troupe/stream"
	"github.com/troupe-p2p/troupe/transports/dnsaddr"
	"github.com/troupe-p2p/troupe/transports/memory"
	"github.com/troupe-p2p/troupe/transports/netconn"
	"github.com/troupe-p2p/troupe/transports/tcp"
)

// Bound is one container of the node that a remote can fill: what it holds, how much at most,
// and what attack that stops.
type Bound = bound.Bound

// Bounds is the bound registry: every container of the node that a remote can fill, by name, with
// the caps of the zero Config. Transports that this package does not link have lists of their own:
// quic.Bounds, unix.Bounds, webrtc.Bounds, websocket.Bounds.
func Bounds() []Bound {
	all := []Bound{
		{Name: "gater: calls that have not returned", Cap: int(gaterCalls(Limits{}.WithDefaults())),
			Attack: "a flood of connections while a hook hangs"},
		{Name: "request: bytes of a message", Cap: defaultMaxSize,
			Attack: "a length of gigabytes"},
		{Name: "request: bytes that a length alone allocates", Cap: firstRead,
			Attack: "many streams that announce messages and never send them"},
		{Name: "request: bytes of the text of a refusal", Cap: maxErrorText,
			Attack: "an answer that is an endless error"},
		{Name: "stream: bytes that wait for the remote, given by an actor handler", Cap: stream.OutCap,
			Attack: "questions whose answers are not read"},
		{Name: "stream: bytes that wait for the remote, copied from a blocking handler", Cap: stream.CopyCap,
			Attack: "questions whose answers are not read"},
	}
	for _, b := range actors.Bounds() {
		all = append(all, Bound(b))
	}
	for _, of := range []func() []Bound{
		addrs.Bounds,
		admission.Bounds,
		book.Bounds,
		connset.Bounds,
		dialplan.Bounds,
		dnsaddr.Bounds,
		identify.Bounds,
		identity.Bounds,
		limits.Bounds,
		memory.Bounds,
		message.Bounds,
		multistream.Bounds,
		mux.Bounds,
		netconn.Bounds,
		noise.Bounds,
		story.Bounds,
		peers.Bounds,
		perfcore.Bounds,
		pingcore.Bounds,
		plaintext.Bounds,
		tcp.Bounds,
		tls.Bounds,
		upgrade.Bounds,
		yamux.Bounds,
	} {
		all = append(all, of()...)
	}
	slices.SortFunc(all, func(a, b Bound) int { return strings.Compare(a.Name, b.Name) })
	return all
}

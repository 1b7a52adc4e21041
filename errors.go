package troupe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/messages"
	"github.com/troupe-p2p/troupe/mux"
	"github.com/troupe-p2p/troupe/mux/yamux"
	"github.com/troupe-p2p/troupe/negotiation/multistream"
	"github.com/troupe-p2p/troupe/negotiation/pnet"
	"github.com/troupe-p2p/troupe/negotiation/upgrade"
	"github.com/troupe-p2p/troupe/peers"
	"github.com/troupe-p2p/troupe/peers/connset"
	"github.com/troupe-p2p/troupe/peers/dialplan"
	"github.com/troupe-p2p/troupe/peers/limits"
	"github.com/troupe-p2p/troupe/protocols/ping/pingcore"
	"github.com/troupe-p2p/troupe/stream"
	"github.com/troupe-p2p/troupe/transports/tcp"
)

// Origin says who is at fault.
type Origin string

// The origins of an Error.
const (
	OriginLocal  Origin = "local"  // this program used the node wrongly, or closed it
	OriginRemote Origin = "remote" // the peer, or the network on the way to it
	OriginLimit  Origin = "limit"  // a limit of this node
)

// Layer says where it happened.
type Layer string

// The layers of an Error.
const (
	LayerNode       Layer = "node"
	LayerDial       Layer = "dial"
	LayerConnection Layer = "connection"
	LayerStream     Layer = "stream"
	LayerProtocol   Layer = "protocol"
	LayerConfig     Layer = "config"
)

// Error is every error that a System returns. Compare with errors.Is against the Err variables,
// which match by Code, or take it apart with errors.As. The cause stays reachable.
type Error struct {
	Origin Origin
	Layer  Layer
	Code   string // stable: "protocol_not_supported"
	// Wire is the code that travelled with a reset or close; 0 if there was none.
	Wire uint32
	// Retryable says that the same call may succeed later without any change.
	Retryable bool
	// Next is what to do about it.
	Next string
	Op   string      // "open", "dial", "request", ...
	Peer identity.ID // "" if none is concerned
	Err  error       // the cause; may be nil
}

// Error puts the fault first and the next step last.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("troupe: ")
	if e.Op != "" {
		b.WriteString(e.Op)
		if e.Peer != "" {
			b.WriteString(" " + e.Peer.String())
		}
		b.WriteString(": ")
	}
	fmt.Fprintf(&b, "%s (%s, %s)", e.Code, e.Origin, e.Layer)
	if e.Wire != 0 {
		fmt.Fprintf(&b, " [code %#x]", e.Wire)
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	if e.Next != "" {
		b.WriteString("; " + e.Next)
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is matches errors by Code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Timeout implements net.Error.
func (e *Error) Timeout() bool { return e.Code == ErrDeadline.Code }

// Temporary implements net.Error.
func (e *Error) Temporary() bool { return e.Retryable }

// The errors of a System, for errors.Is.
var (
	// ErrClosed: the system is closed or closing.
	ErrClosed = &Error{Origin: OriginLocal, Layer: LayerNode, Code: "closed", Next: "make a new System"}
	// ErrConfig: a Config that cannot work; the cause names the field.
	ErrConfig = &Error{Origin: OriginLocal, Layer: LayerConfig, Code: "bad_config", Next: "mend the named field"}
	// ErrDeadline: the context or deadline of the call ended first.
	ErrDeadline = &Error{Origin: OriginLocal, Layer: LayerNode, Code: "deadline", Retryable: true, Next: "allow more time, or see the peer's part of the tree for what it waited on"}
	// ErrRestarting: an actor of this node failed while it worked on the call.
	ErrRestarting = &Error{Origin: OriginLocal, Layer: LayerNode, Code: "actor_failed", Retryable: true, Next: "try again; the failure and its stack are in the tree, please report it"}
	// ErrStragglers: the node is closed, but not everything ended in time; the cause is a
	// *StragglersError. Nothing waits for what it names.
	ErrStragglers = &Error{Origin: OriginLocal, Layer: LayerNode, Code: "stragglers", Next: "let the named handlers look at their context or stream; their stacks are in the tree"}
	// ErrListen: an address could not be bound.
	ErrListen = &Error{Origin: OriginLocal, Layer: LayerNode, Code: "listen_failed", Retryable: true, Next: "free the port or choose another address"}
	// ErrNoAddresses: nothing is known of where the peer is.
	ErrNoAddresses = &Error{Origin: OriginLocal, Layer: LayerDial, Code: "no_addresses", Next: "give an address of the peer"}
	// ErrDialFailed: every address of the peer was tried or skipped; the cause lists them.
	ErrDialFailed = &Error{Origin: OriginRemote, Layer: LayerDial, Code: "dial_failed", Retryable: true, Next: "check that the peer runs and is reachable at one of the listed addresses"}
	// ErrIdentityMismatch: somebody else answered at the peer's address.
	ErrIdentityMismatch = &Error{Origin: OriginRemote, Layer: LayerDial, Code: "identity_mismatch", Next: "the address belongs to another peer: get a fresh one"}
	// ErrSelf: the peer is this node.
	ErrSelf = &Error{Origin: OriginLocal, Layer: LayerDial, Code: "self", Next: "do not dial your own ID"}
	// ErrNotConnected: there is no connection, and the call was not to dial.
	ErrNotConnected = &Error{Origin: OriginLocal, Layer: LayerConnection, Code: "not_connected", Retryable: true, Next: "Dial first, or open without NoDial"}
	// ErrConnectionClosed: the connection ended below the stream.
	ErrConnectionClosed = &Error{Origin: OriginRemote, Layer: LayerConnection, Code: "connection_closed", Retryable: true, Next: "open again; the node dials anew"}
	// ErrProtocolNotSupported: the peer speaks none of the protocols.
	ErrProtocolNotSupported = &Error{Origin: OriginRemote, Layer: LayerProtocol, Code: "protocol_not_supported", Next: "see what the peer speaks: its identify event lists it"}
	// ErrNegotiation: the peer did not negotiate the stream's protocol properly.
	ErrNegotiation = &Error{Origin: OriginRemote, Layer: LayerProtocol, Code: "negotiation_failed", Retryable: true, Next: "try again; if it stays so the peer does not speak multistream-select 1.0, or is overloaded"}
	// ErrReset: the stream was reset; Wire is the code, Origin who did it.
	ErrReset = &Error{Origin: OriginRemote, Layer: LayerStream, Code: "stream_reset", Retryable: true, Next: "try again; why is known where it was reset"}
	// ErrStreamClosed: the stream was used after it had been closed here.
	ErrStreamClosed = &Error{Origin: OriginLocal, Layer: LayerStream, Code: "stream_closed", Next: "do not use a stream after Close or CloseWrite"}
	// ErrLimit: a limit of this node; the cause names it and who holds it.
	ErrLimit = &Error{Origin: OriginLimit, Layer: LayerNode, Code: "limit", Retryable: true, Next: "wait, close something of the holder named, or raise the limit in Config.Limits"}
	// ErrGated: a hook of Config.Gater refused; the cause names the hook, the peer or address, and
	// what the hook said.
	ErrGated = &Error{Origin: OriginLocal, Layer: LayerConnection, Code: "gated", Next: "see what the named hook of Config.Gater said: the program itself refuses this"}
	// ErrOverload: an actor's mailbox is full.
	ErrOverload = &Error{Origin: OriginLimit, Layer: LayerNode, Code: "overload", Retryable: true, Next: "slow down"}
	// ErrMessageTooLarge: a request or answer is over its size limit.
	ErrMessageTooLarge = &Error{Origin: OriginLimit, Layer: LayerProtocol, Code: "message_too_large", Next: "send less, or raise MaxSize on both sides"}
	// ErrBadMessage: a request or answer does not decode.
	ErrBadMessage = &Error{Origin: OriginRemote, Layer: LayerProtocol, Code: "bad_message", Next: "check that both sides use the same message types"}
	// ErrRefused: the peer's handler answered the request with an error; its text is the cause.
	ErrRefused = &Error{Origin: OriginRemote, Layer: LayerProtocol, Code: "refused", Next: "mend the request as the text says"}
	// ErrInternal: none of the others.
	ErrInternal = &Error{Origin: OriginLocal, Layer: LayerNode, Code: "internal", Next: "please report it"}
)

// relabel makes an error that names another call the error of this one.
func relabel(op string, peer identity.ID, err error) error {
	if e, ok := err.(*Error); ok { //nolint:errorlint // what explain returns
		c := *e
		c.Op, c.Peer = op, peer
		return &c
	}
	return err
}

// with makes the error of one call from one of the above.
func (e *Error) with(op string, peer identity.ID, cause error) *Error {
	c := *e
	c.Op, c.Peer, c.Err = op, peer, cause
	return &c
}

// explain turns whatever an actor answered into the Error of a call.
func explain(op string, peer identity.ID, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := err.(*Error); ok { //nolint:errorlint // itself, not something that wraps it
		if e.Op == "" { // made where the call was not known
			return relabel(op, peer, e)
		}
		return e
	}
	var done *Error
	if errors.As(err, &done) {
		return done.with(op, peer, err)
	}
	var (
		reset     *mux.ResetError
		conn      *mux.ConnError
		refused   limits.Refusal
		exhausted *actors.Exhausted
		panicked  *actors.PanicError
		ya        *yamux.Error
		away      *yamux.GoAwayError
		dial      *dialplan.Error
		gated     *messages.GatedError
		agreement *mux.NegotiationError
	)
	switch {
	case errors.As(err, &dial):
		return explainDial(op, peer, dial)
	case errors.As(err, &gated) && !errors.As(err, &refused):
		return ErrGated.with(op, peer, err)
	case errors.Is(err, multistream.ErrNotSupported):
		return ErrProtocolNotSupported.with(op, peer, err)
	case errors.Is(err, multistream.ErrName):
		return ErrConfig.with(op, peer, err)
	case errors.Is(err, multistream.ErrProtocol), errors.Is(err, multistream.ErrTooLarge), errors.Is(err, multistream.ErrTooManyProposals):
		return ErrNegotiation.with(op, peer, err)
	case errors.As(err, &reset) && !reset.Remote && (errors.As(err, &exhausted) || errors.As(err, &ya) && ya.Origin == yamux.Limit):
		e := ErrLimit.with(op, peer, err)
		e.Wire, e.Next = reset.Code, "read what arrives sooner, or raise the limit"
		return e
	case errors.As(err, &reset):
		e := ErrReset.with(op, peer, err)
		e.Wire = reset.Code
		if !reset.Remote {
			e.Origin = OriginLocal
		}
		if advice := resetAdvice(reset.Code); advice != "" {
			e.Next = advice
		}
		return e
	case errors.As(err, &agreement):
		return ErrNegotiation.with(op, peer, err)
	case errors.As(err, &conn):
		e := ErrConnectionClosed.with(op, peer, err)
		e.Wire = conn.Code
		if !conn.Remote && conn.Err == nil {
			e.Origin = OriginLocal
		}
		return e
	case errors.Is(err, stream.ErrClosed), errors.Is(err, stream.ErrWriteWhileBlocked):
		return ErrStreamClosed.with(op, peer, err)
	case errors.Is(err, stream.ErrConnClosed), errors.As(err, &away):
		return ErrConnectionClosed.with(op, peer, err)
	case errors.Is(err, peers.ErrSelf), errors.Is(err, upgrade.ErrSelf):
		return ErrSelf.with(op, peer, err)
	case errors.As(err, &refused), errors.As(err, &exhausted), errors.As(err, &ya) && ya.Origin == yamux.Limit,
		errors.Is(err, connset.ErrFull), errors.Is(err, connset.ErrWaiting), errors.Is(err, peers.ErrWanted),
		errors.Is(err, limits.ErrTagged), errors.Is(err, limits.ErrTags):
		return ErrLimit.with(op, peer, err)
	case errors.As(err, &panicked), errors.Is(err, actors.ErrRestarting), errors.Is(err, actors.ErrAbandoned):
		return ErrRestarting.with(op, peer, err)
	case errors.Is(err, actors.ErrMailboxFull):
		return ErrOverload.with(op, peer, err)
	case errors.Is(err, peers.ErrNotConnected):
		return ErrNotConnected.with(op, peer, err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.Is(err, os.ErrDeadlineExceeded),
		errors.Is(err, connset.ErrNoConnection), errors.Is(err, pingcore.ErrTimeout):
		return ErrDeadline.with(op, peer, err)
	case errors.Is(err, pingcore.ErrMismatch), errors.Is(err, pingcore.ErrEnded):
		return ErrBadMessage.with(op, peer, err)
	case errors.Is(err, actors.ErrStopped), errors.Is(err, actors.ErrClosed), errors.Is(err, actors.ErrStopping), errors.Is(err, peers.ErrHungUp):
		// Whoever would have answered has ended: the connection, or what it hung from.
		e := ErrConnectionClosed.with(op, peer, err)
		e.Origin = OriginLocal
		return e
	}
	return ErrInternal.with(op, peer, err)
}

func explainDial(op string, peer identity.ID, d *dialplan.Error) error {
	var refused limits.Refusal
	gated := func(f dialplan.Skipped) bool {
		var g *messages.GatedError
		return errors.As(f.Err, &g)
	}
	mismatch := func(f dialplan.Skipped) bool { return errors.Is(f.Err, identity.ErrMismatch) }
	switch {
	case errors.As(d, &refused), errors.Is(d, connset.ErrFull), errors.Is(d, peers.ErrWanted):
		return ErrLimit.with(op, peer, d)
	case errors.Is(d, peers.ErrSelf), errors.Is(d, upgrade.ErrSelf):
		return ErrSelf.with(op, peer, d)
	case len(d.Failed) == 0 && len(d.Skipped) == 0:
		return ErrNoAddresses.with(op, peer, d)
	case all(d.Failed, gated) && slices.ContainsFunc(append(slices.Clip(d.Failed), d.Skipped...), gated):
		return ErrGated.with(op, peer, d)
	case len(d.Failed) == 0:
		e := ErrDialFailed.with(op, peer, d)
		e.Origin, e.Next = OriginLocal, "see why no address was tried; Dial tries those that Open leaves alone after a failure"
		if slices.ContainsFunc(d.Skipped, swallowed) {
			e.Next = "see whether this network lets UDP or IPv6 through; DialAddr tries an address whatever is known"
		}
		return e
	case slices.ContainsFunc(d.Failed, mismatch):
		return ErrIdentityMismatch.with(op, peer, d)
	}
	e := ErrDialFailed.with(op, peer, d)
	if slices.ContainsFunc(d.Failed, func(f dialplan.Skipped) bool { return isStranger(f.Err) }) {
		e.Next = strangerAdvice
	}
	return e
}

// swallowed is an address that was left out because its class seems to lead nowhere.
func swallowed(f dialplan.Skipped) bool {
	var hole *dialplan.BlackHoleError
	return errors.As(f.Err, &hole)
}

// isStranger says that the remote is not in our private network.
func isStranger(err error) bool {
	return errors.Is(err, upgrade.ErrKey) || errors.Is(err, pnet.ErrPlain) || errors.Is(err, errUnsettled)
}

const strangerAdvice = "check that both nodes have the same pre-shared key: Config.PrivateNetwork"

func all[T any](s []T, is func(T) bool) bool {
	return !slices.ContainsFunc(s, func(v T) bool { return !is(v) })
}

// explainAttempt is explain for a dial that is one attempt, without a plan that would make its
// failure a *dialplan.Error.
func (s *System) explainAttempt(ctx context.Context, op string, err error) error {
	var (
		socket *tcp.Error
		shaken *upgrade.Error
	)
	e := ErrDialFailed.with(op, "", err)
	switch {
	case isStranger(err):
		e.Next = strangerAdvice
		return e
	case errors.As(err, &shaken) && !errors.Is(err, upgrade.ErrSelf):
		return e
	case errors.As(err, &socket):
		e.Origin = Origin(socket.Origin.String())
		return e
	case errors.Is(err, dialplan.ErrNoTransport):
		e.Origin, e.Next = OriginLocal, "name a transport for that kind of address in Config.Transports"
		return e
	}
	if known := s.explain(ctx, op, "", err); !errors.Is(known, ErrInternal) {
		return known
	}
	return e
}

// resetAdvice is the next step for the codes that are known: Troupe's own and go-libp2p's.
func resetAdvice(code uint32) string {
	switch code {
	case stream.CodeHandlerPanic:
		return "the handler of the stream panicked: see the tree of that node"
	case stream.CodeHandlerStuck:
		return "the handler of the stream was stuck and given up: see the tree of that node"
	case stream.CodeLocalFault:
		return "the handler of the stream broke its rules: see the tree of that node"
	case CodeBadRequest:
		return "send one whole request, as Request does"
	case CodeTimeout:
		return "the handler took longer than its Timeout: try later, or allow more there"
	case mux.CodeNegotiation:
		return "the protocol negotiation failed"
	case mux.CodeResourceLimit:
		return "the receiver is at a limit: try later"
	case 0x1003:
		return "the receiver limits the rate: try later"
	case 0x1007:
		return "the receiver shuts down"
	}
	return ""
}

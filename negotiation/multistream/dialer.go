package multistream

import (
	"fmt"
	"slices"
)

// Dialer proposes protocols in order until one is taken. The zero value needs a Reset; a Dialer may
// be reset and used again.
type Dialer struct {
	in        reader
	protocols []string // not nil and checked, or err is set
	current   int      // index of the proposal under way
	greeted   bool     // the remote's header was seen
	unsent    output
	done      bool
	err       error
}

// output is what a Dialer still has to send, in this order.
type output struct {
	header, proposal bool
}

// NewDialer makes a Dialer for protocols, the best first.
func NewDialer(protocols ...string) (*Dialer, error) {
	d := new(Dialer)
	if err := d.Reset(protocols...); err != nil {
		return nil, err
	}
	return d, nil
}

// Reset starts over with other protocols. The slice is borrowed until the negotiation ends.
// An error is the caller's fault and has kind ErrName.
func (d *Dialer) Reset(protocols ...string) error {
	*d = Dialer{}
	if len(protocols) == 0 {
		d.err = fmt.Errorf("%w: nothing to propose", ErrName)
	}
	for _, p := range protocols {
		if err := CheckName(p); err != nil {
			d.err = err
		}
	}
	if d.err == nil {
		d.protocols = protocols
		d.unsent = output{header: true, proposal: true}
	}
	return d.err
}

// HandleBytes takes received bytes. It uses up none behind the answer that settles the matter;
// those are data of the protocol. The error is sticky.
func (d *Dialer) HandleBytes(p []byte) (consumed int, err error) {
	for d.err == nil && !d.done {
		if !d.greeted && d.in.empty() {
			if d.err = checkFirst(p[consumed:]); d.err != nil {
				break
			}
		}
		msg, n, err := d.in.next(p[consumed:])
		consumed += n
		if err != nil {
			d.err = err
			break
		}
		if msg == nil {
			return consumed, nil
		}
		d.err = d.handle(msg)
	}
	d.in = reader{} // nothing is kept once the matter is settled
	return consumed, d.err
}

func (d *Dialer) handle(msg []byte) error {
	switch {
	case !d.greeted:
		if !isID(msg) {
			return badHeader(msg)
		}
		d.greeted = true
	case d.unsent.proposal:
		return fmt.Errorf("%w: %s answers a proposal that was not sent yet", ErrProtocol, quote(msg))
	case string(msg) == d.protocols[d.current]:
		d.done = true
	case isRefusal(msg):
		if d.current++; d.current == len(d.protocols) {
			return &NotSupportedError{Protocols: d.protocols}
		}
		d.unsent.proposal = true
	default:
		return fmt.Errorf("%w: %q was answered by %s", ErrProtocol, d.protocols[d.current], quote(msg))
	}
	return nil
}

// AppendOutput appends what is to be sent. Bytes appended count as sent.
func (d *Dialer) AppendOutput(dst []byte) []byte {
	if d.err != nil {
		return dst
	}
	if d.unsent.header && d.unsent.proposal {
		dst = slices.Grow(dst, len(ID)+len(d.protocols[d.current])+2*overhead)
	}
	if d.unsent.header {
		dst = appendMessage(dst, ID)
	}
	if d.unsent.proposal {
		dst = appendMessage(dst, d.protocols[d.current])
	}
	d.unsent = output{}
	return dst
}

// Greeted says whether the remote has shown that it speaks multistream-select.
func (d *Dialer) Greeted() bool { return d.greeted }

// Ready returns the protocol whose data may be sent directly behind the output: the agreed one, or
// from the start the only one proposed. Until Done the remote may still turn it down.
func (d *Dialer) Ready() (protocol string, ok bool) {
	if d.err != nil || !d.done && len(d.protocols) != 1 {
		return "", false
	}
	return d.protocols[d.current], true
}

// Done returns the protocol that the remote has agreed to.
func (d *Dialer) Done() (protocol string, ok bool) {
	if !d.done {
		return "", false
	}
	return d.protocols[d.current], true
}

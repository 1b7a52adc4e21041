package multistream

import "slices"

// Listener answers proposals until one is known. The zero value needs a Reset; a Listener may be
// reset and used again.
type Listener struct {
	in       reader
	lookup   Lookup
	greeted  bool // the remote's header was seen
	refused  int  // proposals turned down
	unsent   answers
	protocol string
	done     bool
	err      error
}

// answers are what a Listener still has to send, in this order. Counting refusals instead of
// storing them keeps a remote that reads nothing from filling a buffer.
type answers struct {
	header   bool
	refusals int
	accept   bool
}

// NewListener makes a Listener that takes what lookup knows.
func NewListener(lookup Lookup) *Listener {
	l := new(Listener)
	l.Reset(lookup)
	return l
}

// Reset starts over.
func (l *Listener) Reset(lookup Lookup) {
	*l = Listener{lookup: lookup}
}

// HandleBytes takes received bytes. It uses up none behind the proposal that it takes; those are
// data of the protocol. The error is sticky.
func (l *Listener) HandleBytes(p []byte) (consumed int, err error) {
	for l.err == nil && !l.done {
		if !l.greeted && l.in.empty() {
			if l.err = checkFirst(p[consumed:]); l.err != nil {
				break
			}
		}
		msg, n, err := l.in.next(p[consumed:])
		consumed += n
		if err != nil {
			l.err = err
			break
		}
		if msg == nil {
			return consumed, nil
		}
		l.err = l.handle(msg)
	}
	l.in = reader{} // nothing is kept once the matter is settled
	return consumed, l.err
}

func (l *Listener) handle(msg []byte) error {
	if !l.greeted {
		if !isID(msg) {
			return badHeader(msg)
		}
		l.greeted = true
		l.unsent.header = true
		return nil
	}
	// "ls" asks for a list. go-libp2p has given it up and answers as for any unknown name;
	// telling a stranger all that we speak has no use that identify does not have.
	if p, ok := l.lookup(msg); ok {
		l.protocol, l.done = p, true
		l.unsent.accept = true
		return nil
	}
	if l.refused++; l.refused >= MaxProposals {
		return ErrTooManyProposals
	}
	l.unsent.refusals++
	return nil
}

// AppendOutput appends what is to be sent. Bytes appended count as sent. After an error it appends
// the answers that were due before: a dialer that sent data behind its only proposal, which we do
// not know, breaks the rules with the data and learns from the refusal what was wrong.
func (l *Listener) AppendOutput(dst []byte) []byte {
	if l.unsent.header && l.unsent.accept {
		dst = slices.Grow(dst, len(ID)+len(l.protocol)+2*overhead)
	}
	if l.unsent.header {
		dst = appendMessage(dst, ID)
	}
	for range l.unsent.refusals {
		dst = appendMessage(dst, refusal)
	}
	if l.unsent.accept {
		dst = appendMessage(dst, l.protocol)
	}
	l.unsent = answers{}
	return dst
}

// Greeted says whether the remote has shown that it speaks multistream-select.
func (l *Listener) Greeted() bool { return l.greeted }

// Done returns the protocol that was agreed on. Its data may be sent behind the output.
func (l *Listener) Done() (protocol string, ok bool) { return l.protocol, l.done }

package multistream

import "fmt"

// overhead of a message: a length of two bytes at most, and the newline.
const overhead = 3

// appendMessage appends one message. Lengths are below 2^14: names were checked.
func appendMessage(dst []byte, text string) []byte {
	n := len(text) + 1
	if n >= 0x80 {
		dst = append(dst, byte(n)|0x80, byte(n>>7))
	} else {
		dst = append(dst, byte(n))
	}
	dst = append(dst, text...)
	return append(dst, '\n')
}

// reader cuts messages out of received bytes. A message that lies whole in what is given is
// borrowed from there; only one that comes in pieces is copied.
type reader struct {
	part  []byte // the message under way; at most 2+MaxMessage bytes
	taken bool   // part was handed out and is free again
}

// empty says that no message is under way.
func (r *reader) empty() bool { return r.taken || len(r.part) == 0 }

// next returns a message without its newline and the number of bytes of p that were used up. A nil
// message without an error means that all of p was used up and more is needed. The message is
// valid until p changes or the next call.
func (r *reader) next(p []byte) (msg []byte, n int, err error) {
	if r.taken {
		r.part, r.taken = r.part[:0], false
	}
	if len(r.part) == 0 {
		head, size, err := length(p)
		if err != nil {
			return nil, 0, err
		}
		if head > 0 && len(p) >= head+size {
			msg, err = body(p[head : head+size])
			return msg, head + size, err
		}
		if len(p) == 0 {
			return nil, 0, nil
		}
	}
	for {
		head, size, err := length(r.part)
		if err != nil {
			return nil, n, err
		}
		want := head + size
		if head == 0 {
			want = len(r.part) + 1 // the length first: what follows may be another layer's
		}
		if more := want - len(r.part); more > 0 {
			k := min(more, len(p)-n)
			r.part = append(r.part, p[n:n+k]...)
			n += k
			if k < more {
				return nil, n, nil
			}
			continue
		}
		r.taken = true
		msg, err = body(r.part[head:want])
		return msg, n, err
	}
}

// length reads the length of a message. head is 0 while it is incomplete.
func length(p []byte) (head, size int, err error) {
	if len(p) == 0 {
		return 0, 0, nil
	}
	if p[0] < 0x80 {
		head, size = 1, int(p[0])
	} else {
		if len(p) < 2 {
			return 0, 0, nil
		}
		if p[1] >= 0x80 {
			return 0, 0, ErrTooLarge
		}
		if p[1] == 0 {
			return 0, 0, fmt.Errorf("%w: length is not minimally encoded", ErrProtocol)
		}
		head, size = 2, int(p[0]&0x7f)|int(p[1])<<7
	}
	if size > MaxMessage {
		return 0, 0, ErrTooLarge
	}
	if size == 0 {
		return 0, 0, fmt.Errorf("%w: message of length 0", ErrProtocol)
	}
	return head, size, nil
}

func body(b []byte) ([]byte, error) {
	last := len(b) - 1
	if b[last] != '\n' {
		return nil, fmt.Errorf("%w: no newline ends %s", ErrProtocol, quote(b))
	}
	return b[:last], nil
}

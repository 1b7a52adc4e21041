package troupe

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-p2p/troupe/identity"
)

// The wire form of a request, on a stream of its own:
//
//	request   uvarint(length) message             then the requester closes its direction
//	answer    status (1 byte) uvarint(length) body   then the responder closes its own
//
// Status 0: body is the answer's message. Status 1: the handler refused; body is UTF-8 text of
// at most 1 KiB. The messages are protobuf unless a Codec says otherwise. What follows the message
// in either direction is not looked at. A request that ends in the middle resets the stream with
// CodeBadRequest, a handler that takes too long with CodeTimeout, one that panics with 0x54520001.

const (
	statusOK     = 0
	statusFailed = 1
	// maxErrorText bounds the text of a refusal. Attack: a responder that answers with an
	// endless error.
	maxErrorText = 1 << 10
	// defaultMaxSize bounds a message. Attack: a length that makes us allocate gigabytes.
	defaultMaxSize = 1 << 20
	// firstRead is what a length alone buys. Attack: many streams that announce messages of
	// the full size and never send them.
	firstRead = 4 << 10

	defaultTimeout = 30 * time.Second
)

// Codec turns messages into bytes and back. Both sides must use the same.
type Codec interface {
	Marshal(m any) ([]byte, error)
	// Unmarshal fills m, which is a pointer to a new message. It must not keep b.
	Unmarshal(b []byte, m any) error
}

// ProtobufCodec is the default Codec: messages are pointers to generated types.
type ProtobufCodec struct{}

// Marshal implements Codec.
func (ProtobufCodec) Marshal(m any) ([]byte, error) {
	p, ok := m.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is not a protobuf message: use a pointer to a generated type, or another Codec", m)
	}
	return proto.Marshal(p)
}

// Unmarshal implements Codec.
func (ProtobufCodec) Unmarshal(b []byte, m any) error {
	p, ok := m.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is not a protobuf message: use a generated type, or another Codec", m)
	}
	return proto.Unmarshal(b, p)
}

// RequestOptions of both sides. The zero value works.
type RequestOptions struct {
	// Codec default: ProtobufCodec.
	Codec Codec
	// MaxSize bounds a message in bytes, before anything is allocated for it. Default 1 MiB.
	MaxSize int
	// Timeout bounds the whole exchange, on the responding side from the stream's opening.
	// Default 30 s.
	Timeout time.Duration
	// Open is how Request opens its stream.
	Open OpenOptions
}

func (o RequestOptions) withDefaults() RequestOptions {
	if o.Codec == nil {
		o.Codec = ProtobufCodec{}
	}
	if o.MaxSize <= 0 {
		o.MaxSize = defaultMaxSize
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	return o
}

// Request sends req to a peer and waits for the answer. Res is the answer's struct type. An
// error that the peer's handler returned is ErrRefused with its text.
func Request[Res any](ctx context.Context, s *System, peer identity.ID, protocol string, req any) (*Res, error) {
	return RequestWith[Res](ctx, s, peer, protocol, req, RequestOptions{})
}

// RequestWith is Request with options.
func RequestWith[Res any](ctx context.Context, s *System, peer identity.ID, protocol string, req any, o RequestOptions) (*Res, error) {
	const op = "request"
	o = o.withDefaults()
	body, err := o.Codec.Marshal(req)
	if err != nil {
		return nil, ErrConfig.with(op, peer, err)
	}
	if len(body) > o.MaxSize {
		return nil, ErrMessageTooLarge.with(op, peer, fmt.Errorf("the request has %d bytes, the limit is %d", len(body), o.MaxSize))
	}
	ctx, cancel := s.rt.WithTimeout(ctx, o.Timeout)
	defer cancel()
	ref, err := s.OpenWith(ctx, peer, o.Open, protocol)
	if err != nil {
		return nil, err
	}
	st := ref.Blocking()
	stop := s.rt.OnDone(ctx, func() { _ = st.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	fail := func(err error) (*Res, error) {
		_ = st.Reset(0)
		if ctx.Err() != nil {
			return nil, ErrDeadline.with(op, peer, context.Cause(ctx))
		}
		return nil, relabel(op, peer, s.explain(ctx, op, peer, err))
	}
	if _, err := st.Write(append(binary.AppendUvarint(make([]byte, 0, len(body)+binary.MaxVarintLen64), uint64(len(body))), body...)); err != nil {
		return fail(err)
	}
	_ = st.CloseWrite()
	var status [1]byte
	if _, err := io.ReadFull(st, status[:]); err != nil {
		return fail(unexpected(err))
	}
	limit := o.MaxSize
	if status[0] == statusFailed {
		limit = maxErrorText
	}
	b, err := readMessage(st, limit)
	if err != nil {
		return fail(err)
	}
	_ = st.CloseRead()
	switch status[0] {
	case statusOK:
		res := new(Res)
		if err := o.Codec.Unmarshal(b, res); err != nil {
			return nil, ErrBadMessage.with(op, peer, err)
		}
		return res, nil
	case statusFailed:
		return nil, ErrRefused.with(op, peer, errors.New(printable(b)))
	}
	return nil, ErrBadMessage.with(op, peer, fmt.Errorf("unknown status %d", status[0]))
}

// Respond serves a protocol of requests: f is called for each, on a goroutine that is supervised
// with the stream. An error of f travels to the requester as text. ctx ends with the stream.
func Respond[Req, Res any](s *System, protocol string, f func(ctx context.Context, peer identity.ID, req *Req) (*Res, error)) error {
	return RespondWith(s, protocol, f, RequestOptions{})
}

// RespondWith is Respond with options.
func RespondWith[Req, Res any](s *System, protocol string, f func(ctx context.Context, peer identity.ID, req *Req) (*Res, error), o RequestOptions) error {
	o = o.withDefaults()
	return s.Handle(protocol, StreamHandler(func(ctx context.Context, st *Stream) {
		ctx, cancel := s.rt.WithTimeout(ctx, o.Timeout)
		defer cancel()
		// Also when f does not look at ctx: the requester hears of it, and the stream is free.
		defer s.rt.OnDone(ctx, func() { _ = st.Reset(CodeTimeout) })()
		b, err := readMessage(st, o.MaxSize)
		if err != nil {
			if errors.Is(err, ErrMessageTooLarge) {
				_ = answer(st, statusFailed, []byte(err.Error()))
				return
			}
			_ = st.Reset(CodeBadRequest)
			return
		}
		req := new(Req)
		if err := o.Codec.Unmarshal(b, req); err != nil {
			_ = answer(st, statusFailed, []byte("bad request: "+err.Error()))
			return
		}
		res, err := f(ctx, st.Peer(), req)
		if err != nil {
			_ = answer(st, statusFailed, []byte(err.Error()))
			return
		}
		out, err := o.Codec.Marshal(res)
		if err == nil && len(out) > o.MaxSize {
			err = fmt.Errorf("the answer has %d bytes, the limit is %d", len(out), o.MaxSize)
		}
		if err != nil {
			_ = answer(st, statusFailed, []byte(err.Error()))
			return
		}
		_ = answer(st, statusOK, out)
	}))
}

// Codes with which a responder resets the stream of a request.
const (
	// CodeBadRequest: the request ends in the middle, or its length is none.
	CodeBadRequest uint32 = 0x5452_0010
	// CodeTimeout: there was no answer within the responder's Timeout.
	CodeTimeout uint32 = 0x5452_0011
)

func answer(st *Stream, status byte, body []byte) error {
	if status == statusFailed {
		body = refusal(body)
	}
	b := append(make([]byte, 0, 1+binary.MaxVarintLen64+len(body)), status)
	b = binary.AppendUvarint(b, uint64(len(body)))
	if _, err := st.Write(append(b, body...)); err != nil {
		return err
	}
	return st.CloseWrite()
}

// refusal is as much of a text as travels: UTF-8, which a cut may have broken.
func refusal(text []byte) []byte {
	return bytes.ToValidUTF8(text[:min(len(text), maxErrorText)], nil)
}

// readMessage reads a length and as many bytes. The length is held against limit before anything
// is allocated, and what is allocated then is never much more than what has arrived.
func readMessage(r io.Reader, limit int) ([]byte, error) {
	n, err := readUvarint(r)
	if err != nil {
		return nil, err
	}
	if n > uint64(limit) {
		return nil, ErrMessageTooLarge.with("", "", fmt.Errorf("a message of %d bytes, the limit is %d", n, limit))
	}
	var b []byte
	for have := 0; have < int(n); have = len(b) {
		more := min(int(n)-have, max(have, firstRead))
		b = slices.Grow(b, more)[:have+more]
		if _, err := io.ReadFull(r, b[have:]); err != nil {
			return nil, unexpected(err)
		}
	}
	return b, nil
}

func readUvarint(r io.Reader) (uint64, error) {
	var b [binary.MaxVarintLen64]byte
	for i := range b {
		if _, err := io.ReadFull(r, b[i:i+1]); err != nil {
			return 0, unexpected(err)
		}
		if b[i] < 0x80 {
			n, k := binary.Uvarint(b[:i+1])
			if k != i+1 || i > 0 && b[i] == 0 {
				break
			}
			return n, nil
		}
	}
	return 0, ErrBadMessage.with("", "", errors.New("the length is not a varint"))
}

// unexpected: an end in the middle is the peer's fault, not an orderly end. The end of the
// connection is an error that may well have io.EOF for its cause, and stays what it is.
func unexpected(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF { //nolint:errorlint // as ReadFull returns them
		return ErrBadMessage.with("", "", io.ErrUnexpectedEOF)
	}
	return err
}

// printable makes a peer's text fit for a log.
func printable(b []byte) string {
	return fmt.Sprintf("%q", string(b))
}

package script

import (
	"encoding/binary"
	"fmt"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
)

// Delimited is a protobuf message behind its length as a varint, which is how most protocols put
// them on a stream; to send or to want.
func Delimited(m proto.Message) interface {
	Item
	Matcher
} {
	return message{m}
}

type message struct{ m proto.Message }

func (m message) String() string { return showMessage(m.m) }

func (m message) Append(dst []byte) []byte {
	b, err := proto.Marshal(m.m)
	if err != nil {
		panic(err) // a message of the test's own
	}
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

func (m message) Match(in []byte) (int, error) {
	return like(in, m.m, func(got proto.Message) error {
		if !proto.Equal(got, m.m) {
			return fmt.Errorf("it is %s", showMessage(got))
		}
		return nil
	})
}

// Show implements Shower.
func (m message) Show(in []byte) string { return showDelimited(in, m.m) }

// MessageLike wants a delimited protobuf message that check has nothing against:
//
//	s.Want("identify tells the agent", script.MessageLike("an agent", func(m *pb.Identify) error { ... }))
func MessageLike[M proto.Message](what string, check func(m M) error) Matcher {
	return messageLike[M]{what, check}
}

type messageLike[M proto.Message] struct {
	what  string
	check func(M) error
}

func (m messageLike[M]) String() string { return m.what }

func (m messageLike[M]) Match(in []byte) (int, error) {
	var kind M
	return like(in, kind, func(got proto.Message) error { return m.check(got.(M)) })
}

// Show implements Shower.
func (m messageLike[M]) Show(in []byte) string {
	var kind M
	return showDelimited(in, kind)
}

// like parses a message of a kind and has it checked.
func like(in []byte, kind proto.Message, check func(proto.Message) error) (int, error) {
	b, n, err := delimitedOrEmpty(in)
	if err != nil {
		return 0, err
	}
	got := kind.ProtoReflect().New().Interface()
	if err := proto.Unmarshal(b, got); err != nil {
		return 0, fmt.Errorf("%d bytes that are no %s: %w", len(b), kind.ProtoReflect().Descriptor().FullName(), err)
	}
	return n, check(got)
}

// delimitedOrEmpty is delimited for messages that may have no bytes at all.
func delimitedOrEmpty(in []byte) ([]byte, int, error) {
	if len(in) > 0 && in[0] == 0 {
		return nil, 1, nil
	}
	return delimited(in)
}

func showDelimited(in []byte, kind proto.Message) string {
	text := ""
	n, err := like(in, kind, func(m proto.Message) error { text = showMessage(m); return nil })
	if err != nil {
		return brief(in)
	}
	if n < len(in) {
		text += fmt.Sprintf(" and %d bytes more", len(in)-n)
	}
	return text
}

func showMessage(m proto.Message) string {
	return fmt.Sprintf("%s{%s}", m.ProtoReflect().Descriptor().FullName(), prototext.MarshalOptions{}.Format(m))
}

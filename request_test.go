package troupe_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/wrapperspb"

	troupe "github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/identity"
)

const asked = "/test/request/1.0.0"

type text = wrapperspb.StringValue

// ask is a request of one text for another.
func ask(t *testing.T, from, to *troupe.System, what string, o troupe.RequestOptions) (string, error) {
	t.Helper()
	a, err := troupe.RequestWith[text](bounded(t), from, to.ID(), asked, wrapperspb.String(what), o)
	return a.GetValue(), err
}

// answers makes n answer requests.
func answers(t *testing.T, n *troupe.System, o troupe.RequestOptions, f func(ctx context.Context, what string) (string, error)) {
	t.Helper()
	err := troupe.RespondWith(n, asked, func(ctx context.Context, _ identity.ID, req *text) (*text, error) {
		s, err := f(ctx, req.Value)
		return wrapperspb.String(s), err
	}, o)
	if err != nil {
		t.Fatal(err)
	}
}

// byHand makes n answer with bytes, whatever is asked, and returns what was asked.
func byHand(t *testing.T, n *troupe.System, answer []byte) (got func() []byte) {
	t.Helper()
	asks := make(chan []byte, 1)
	register(t, n, asked, troupe.StreamHandler(func(_ context.Context, s *troupe.Stream) {
		b, _ := io.ReadAll(s)
		_, _ = s.Write(answer)
		asks <- b
	}))
	return func() []byte { return <-asks }
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The wire form is a contract with other programs: these bytes never change.
func TestRequestHasThisWireForm(t *testing.T) {
	a, b := couple(t)
	got := byHand(t, b, unhex(t, "00 05 0a 03 796573")) // ok, 5 bytes, field 1 "yes"
	res, err := ask(t, a, b, "well?", troupe.RequestOptions{})
	if err != nil || res != "yes" {
		t.Fatalf("%q, %v", res, err)
	}
	// 7 bytes, field 1 "well?", and the end: byHand has read to it.
	if b, want := got(), unhex(t, "07 0a 05 77656c6c3f"); !bytes.Equal(b, want) {
		t.Fatalf("the request is %x, want %x", b, want)
	}

	// A message of 300 bytes has a length of two.
	long := strings.Repeat("x", 297)
	if _, err := ask(t, a, b, long, troupe.RequestOptions{}); err != nil {
		t.Fatal(err)
	}
	if b, want := got(), append(unhex(t, "ac02 0a a902"), long...); !bytes.Equal(b, want) {
		t.Fatalf("the request is %x, want %x", b, want)
	}
}

func TestAnswerHasThisWireForm(t *testing.T) {
	a, b := couple(t)
	answers(t, b, troupe.RequestOptions{}, func(_ context.Context, what string) (string, error) {
		switch what {
		case "":
			return "", nil
		case "no":
			return "", errors.New("nö")
		}
		return strings.ToUpper(what), nil
	})
	for _, row := range []struct{ ask, want string }{
		{"00", "00 00"},                       // an empty message is an empty message
		{"04 0a 02 6869", "00 04 0a 02 4849"}, // "hi"
		{"04 0a 02 6e6f", "01 03 6ec3b6"},     // "no": refused, with text
	} {
		got, err := exchange(t, a, b.ID(), asked, unhex(t, row.ask))
		if want := unhex(t, row.want); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is answered by %x, %v, want %x", row.ask, got, err, want)
		}
	}
	// What does not decode is refused too. How protobuf puts it varies.
	got, err := exchange(t, a, b.ID(), asked, unhex(t, "02 ffff"))
	if err != nil || len(got) < 2 || got[0] != 1 || int(got[1]) != len(got)-2 || !bytes.HasPrefix(got[2:], []byte("bad request: proto:")) {
		t.Errorf("%x, %v", got, err)
	}
}

// A requester that keeps its direction open is answered all the same.
func TestAnswerDoesNotWaitForTheEndOfTheRequest(t *testing.T) {
	a, b := couple(t)
	answers(t, b, troupe.RequestOptions{}, func(_ context.Context, what string) (string, error) { return what, nil })
	s := open(t, a, b.ID(), asked)
	if _, err := s.Write(unhex(t, "04 0a 02 6869")); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(s)
	if want := unhex(t, "00 04 0a 02 6869"); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%x, %v", got, err)
	}
}

func TestAnswerCutAnywhereIsABadMessage(t *testing.T) {
	a, b := couple(t)
	for _, whole := range []string{"00 05 0a 03 796573", "01 03 6e6f21", "00 8001" + strings.Repeat("00", 128)} {
		for cut := range unhex(t, whole) {
			got := byHand(t, b, unhex(t, whole)[:cut])
			_, err := ask(t, a, b, "well?", troupe.RequestOptions{})
			got()
			e := wantError(t, err, troupe.ErrBadMessage)
			if e.Op != "request" || e.Peer != b.ID() {
				t.Fatalf("after %d bytes: %v", cut, err)
			}
		}
	}
}

func TestRequestCutAnywhereIsReset(t *testing.T) {
	a, b := couple(t)
	answers(t, b, troupe.RequestOptions{}, func(context.Context, string) (string, error) {
		t.Error("half a request was served")
		return "", nil
	})
	whole := unhex(t, "8401 0a 8101"+strings.Repeat("78", 129))
	for cut := range whole {
		_, err := exchange(t, a, b.ID(), asked, whole[:cut])
		if e := wantError(t, err, troupe.ErrReset); e.Wire != troupe.CodeBadRequest || e.Origin != troupe.OriginRemote {
			t.Fatalf("after %d bytes: %v", cut, err)
		}
	}
}

func TestAnswerThatIsNoneIsABadMessage(t *testing.T) {
	a, b := couple(t)
	for name, answer := range map[string]string{
		"unknown status":           "02 00",
		"not the codec's":          "00 02 ffff",
		"length that is too long":  "00 8080808080808080808001",
		"length without an end":    "00 ffffffffffffffffffff",
		"length not of least size": "00 8500",
	} {
		t.Run(name, func(t *testing.T) {
			got := byHand(t, b, unhex(t, answer))
			_, err := ask(t, a, b, "well?", troupe.RequestOptions{})
			got()
			wantError(t, err, troupe.ErrBadMessage)
		})
	}
}

func TestRequestWithoutALengthIsReset(t *testing.T) {
	a, b := couple(t)
	answers(t, b, troupe.RequestOptions{}, func(context.Context, string) (string, error) { return "", nil })
	for _, p := range []string{"ffffffffffffffffffff", "8080808080808080808001", "8000"} {
		_, err := exchange(t, a, b.ID(), asked, unhex(t, p))
		if e := wantError(t, err, troupe.ErrReset); e.Wire != troupe.CodeBadRequest {
			t.Fatalf("%s: %v", p, err)
		}
	}
}

func TestSizesAreHeldToTheByte(t *testing.T) {
	a, b := couple(t)
	const size = 1000
	fits, over := strings.Repeat("x", size-3), strings.Repeat("x", size-2) // with tag and length
	small := troupe.RequestOptions{MaxSize: size}
	answers(t, b, small, func(_ context.Context, what string) (string, error) {
		if what == "more" {
			return over, nil
		}
		return what, nil
	})
	if got, err := ask(t, a, b, fits, small); err != nil || got != fits {
		t.Fatalf("a message of the full size: %v", err)
	}
	_, err := ask(t, a, b, over, small)
	wantError(t, err, troupe.ErrMessageTooLarge)
	// The responder judges for itself, and says why.
	_, err = ask(t, a, b, over, troupe.RequestOptions{})
	if wantError(t, err, troupe.ErrRefused); !strings.Contains(err.Error(), "a message of 1001 bytes, the limit is 1000") {
		t.Fatal(err)
	}
	_, err = ask(t, a, b, "more", troupe.RequestOptions{})
	if wantError(t, err, troupe.ErrRefused); !strings.Contains(err.Error(), "the answer has 1001 bytes, the limit is 1000") {
		t.Fatal(err)
	}
	// So does the requester, by the length alone.
	for _, answer := range []string{"00 e907", "00 ffffffffffffffffff01", "01 8108"} {
		got := byHand(t, b, unhex(t, answer))
		_, err = ask(t, a, b, "well?", small)
		got()
		if e := wantError(t, err, troupe.ErrMessageTooLarge); e.Origin != troupe.OriginLimit {
			t.Fatal(err)
		}
	}
}

func TestRefusalTravelsAsText(t *testing.T) {
	a, b := couple(t)
	var why string
	answers(t, b, troupe.RequestOptions{}, func(context.Context, string) (string, error) { return "", errors.New(why) })
	for why = range map[string]bool{"not today": true, "line\nbreak \x1b[31m": true, "": true} {
		_, err := ask(t, a, b, "well?", troupe.RequestOptions{})
		e := wantError(t, err, troupe.ErrRefused)
		if e.Err.Error() != fmt.Sprintf("%q", why) {
			t.Errorf("%q became %v", why, e.Err)
		}
		if strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("a peer writes to our log: %q", err)
		}
	}
	why = strings.Repeat("ö", 1000)
	got, err := exchange(t, a, b.ID(), asked, []byte{0})
	if err != nil || len(got) != 3+1024 || !utf8.Valid(got[3:]) {
		t.Fatalf("a long text became %d bytes, %v", len(got), err)
	}
	why = "x" + why
	if got, err = exchange(t, a, b.ID(), asked, []byte{0}); err != nil || len(got) != 3+1023 || !utf8.Valid(got[3:]) {
		t.Fatalf("a text that is cut in a rune became %d bytes, %v", len(got), err)
	}
}

func TestPanicOfTheResponderIsAResetWithItsCode(t *testing.T) {
	a, b := couple(t)
	answers(t, b, troupe.RequestOptions{}, func(context.Context, string) (string, error) { panic("a bug") })
	_, err := ask(t, a, b, "well?", troupe.RequestOptions{})
	e := wantError(t, err, troupe.ErrReset)
	if e.Wire != 0x54520001 || e.Origin != troupe.OriginRemote || e.Op != "request" {
		t.Fatal(err)
	}
	answers(t, b, troupe.RequestOptions{}, func(_ context.Context, what string) (string, error) { return what, nil })
	if got, err := ask(t, a, b, "again", troupe.RequestOptions{}); got != "again" {
		t.Fatal(err)
	}
}

func TestRequestForAnUnknownProtocol(t *testing.T) {
	a, b := couple(t)
	_, err := ask(t, a, b, "well?", troupe.RequestOptions{})
	wantError(t, err, troupe.ErrProtocolNotSupported)
}

func TestRequestEndsWithItsTimeOrItsContext(t *testing.T) {
	a, b := couple(t)
	entered, left := make(chan struct{}, 1), make(chan error, 1)
	answers(t, b, troupe.RequestOptions{}, func(ctx context.Context, _ string) (string, error) {
		entered <- struct{}{}
		<-ctx.Done()
		left <- ctx.Err()
		return "", nil
	})
	_, err := ask(t, a, b, "well?", troupe.RequestOptions{Timeout: 20 * time.Millisecond})
	if e := wantError(t, err, troupe.ErrDeadline); !e.Timeout() || !errors.Is(err, context.DeadlineExceeded) || e.Op != "request" {
		t.Fatal(err)
	}
	// The responder's context ends with the stream.
	<-entered
	if err := <-left; err == nil {
		t.Fatal("the handler's context goes on")
	}

	why := errors.New("changed my mind")
	ctx, cancel := context.WithCancelCause(bounded(t))
	go func() {
		<-entered
		cancel(why)
	}()
	_, err = troupe.Request[text](ctx, a, b.ID(), asked, wrapperspb.String("well?"))
	if wantError(t, err, troupe.ErrDeadline); !errors.Is(err, why) {
		t.Fatal(err)
	}
	<-left
}

func TestResponderThatTakesTooLongResetsWithACode(t *testing.T) {
	a, b := couple(t)
	release := make(chan struct{})
	answers(t, b, troupe.RequestOptions{Timeout: 20 * time.Millisecond}, func(context.Context, string) (string, error) {
		<-release // it does not even look at its context
		return "", nil
	})
	_, err := ask(t, a, b, "well?", troupe.RequestOptions{})
	if e := wantError(t, err, troupe.ErrReset); e.Wire != troupe.CodeTimeout {
		t.Fatal(err)
	}
	// Half a request is no way to hold a stream for longer either.
	s := open(t, a, b.ID(), asked)
	if _, err = s.Write([]byte{7, 0}); err != nil {
		t.Fatal(err)
	}
	_, err = io.ReadAll(s)
	if e := wantError(t, err, troupe.ErrReset); e.Wire != troupe.CodeTimeout {
		t.Fatal(err)
	}
	close(release)
}

// The end of the connection has io.EOF for its cause, and is no bad message for that.
func TestConnectionThatEndsUnderARequest(t *testing.T) {
	a, b := couple(t)
	answers(t, b, troupe.RequestOptions{}, func(ctx context.Context, _ string) (string, error) {
		b.Disconnect(a.ID())
		<-ctx.Done()
		return "", ctx.Err()
	})
	_, err := ask(t, a, b, "well?", troupe.RequestOptions{})
	if e := wantError(t, err, troupe.ErrConnectionClosed); !e.Retryable {
		t.Fatal(err)
	}
}

func TestWhatIsNoMessageIsRefusedHere(t *testing.T) {
	a, b := couple(t)
	_, err := troupe.Request[text](bounded(t), a, b.ID(), asked, "a string")
	wantError(t, err, troupe.ErrConfig)
	got := byHand(t, b, []byte{0, 0})
	_, err = troupe.Request[struct{}](bounded(t), a, b.ID(), asked, wrapperspb.String("well?"))
	got()
	if wantError(t, err, troupe.ErrBadMessage); !strings.Contains(err.Error(), "not a protobuf message") {
		t.Fatal(err)
	}
	if err := troupe.Respond(a, "no\nprotocol", func(context.Context, identity.ID, *text) (*text, error) { return nil, nil }); err == nil {
		t.Fatal("a protocol with a newline is served")
	}
}

func TestManyRequestsAtOnceGetTheirOwnAnswersAndLeaveNothing(t *testing.T) {
	a, b := couple(t)
	answers(t, b, troupe.RequestOptions{}, func(_ context.Context, what string) (string, error) { return "re: " + what, nil })
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			what := fmt.Sprint(i)
			if got, err := ask(t, a, b, what, troupe.RequestOptions{}); got != "re: "+what {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	all.Wait()
	for _, n := range []*troupe.System{a, b} {
		until(t, "no stream is left", func() bool {
			_, some := find(n.Tree().Roots, func(k node) bool { return k.Kind == "stream" })
			return !some
		})
	}
}

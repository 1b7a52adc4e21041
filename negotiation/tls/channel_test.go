package tls

import (
	"bytes"
	stdtls "crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/internal/buf"
)

func channels(t testing.TB) (client, server *Result) {
	t.Helper()
	c, s := ours(t, config(t, false, 1)), ours(t, config(t, true, 2))
	connect(t, c, s)
	return c.result, s.result
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{5}).Read(b)
	return b
}

func TestSealedBytesOpenForEverySize(t *testing.T) {
	live := buf.Live()
	client, server := channels(t)
	data := randomBytes(5*maxRecord + 11)
	random := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 2, 1000, maxRecord - 1, maxRecord, maxRecord + 1, 64 << 10, len(data)} {
		for _, size := range []int{1, 4, 5, 6, 333, maxRecord, 1 << 20, 1 + random.IntN(70000)} {
			if size < 5 && n > 1000 {
				continue
			}
			prefix := []byte("prefix")
			want := client.Seal.SealedSize(n)
			wire, err := client.Seal.Seal(prefix, data[:n])
			if err != nil || !bytes.HasPrefix(wire, prefix) {
				t.Fatalf("%d bytes: %v", n, err)
			}
			wire = wire[len(prefix):]
			if len(wire) != want {
				t.Errorf("%d bytes: sealed to %d, SealedSize says %d", n, len(wire), want)
			}
			got, err := openAll(server.Open, wire, size)
			if err != nil || !bytes.Equal(got, data[:n]) {
				t.Fatalf("%d bytes in pieces of %d: %d came back, %v", n, size, len(got), err)
			}
			if server.Open.plain != nil || len(server.Open.queues.lent) > 0 {
				t.Fatalf("%d bytes in pieces of %d: an idle opener holds a buffer", n, size)
			}
		}
	}
	if n := buf.Live() - live; n != 0 {
		t.Errorf("%d buffers were not given back", n)
	}
}

// A client may send data right behind its last handshake message, and the server's task has read
// some of it by then.
func TestDataBehindTheHandshakeIsNotLost(t *testing.T) {
	data := randomBytes(40000)
	for _, size := range []int{0, 1000} {
		c, s := ours(t, config(t, false, 1)), ours(t, config(t, true, 2))
		run := c.run
		c.run = func() error {
			err := run()
			if err == nil {
				wire, sealErr := c.result.Seal.Seal(nil, data)
				err = sealErr
				_, _ = c.queues.Write(wire)
			}
			return err
		}
		l := &link{client: c, server: s, size: size}
		l.handshake()
		if c.err != nil || s.err != nil {
			t.Fatalf("client %v, server %v", c.err, s.err)
		}
		got, err := openAll(s.result.Open, nil, 1)
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%d of %d bytes arrived: %v", len(got), len(data), err)
		}
	}
}

func TestFlippedBitsReplaysAndGapsFail(t *testing.T) {
	for name, spoil := range map[string]func(a, b []byte) []byte{
		"flipped":   func(a, b []byte) []byte { a[len(a)-1] ^= 1; return a },
		"replayed":  func(a, b []byte) []byte { return append(a, a...) },
		"reordered": func(a, b []byte) []byte { return append(b, a...) },
		"dropped":   func(a, b []byte) []byte { return b },
		"too long":  func(a, b []byte) []byte { return append([]byte{23, 3, 3, 0xff, 0xff}, a...) },
		"plain":     func(a, b []byte) []byte { return []byte{23, 3, 3, 0, 2, 'h', 'i'} },
	} {
		client, server := channels(t)
		a, errA := client.Seal.Seal(nil, []byte("a"))
		b, errB := client.Seal.Seal(nil, []byte("b"))
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		_, err := openAll(server.Open, spoil(a, b), 1<<20)
		if !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, again := server.Open.Next(); !errors.Is(again, ErrRecord) {
			t.Errorf("%s: the failure is not sticky: %v", name, again)
		}
	}
}

func TestRemotesEndIsSeenInOrder(t *testing.T) {
	c, s := ours(t, config(t, false, 1)), other(true, libp2pConfig(t, 2))
	connect(t, c, s)
	if _, err := s.conn.Write([]byte("last words")); err != nil {
		t.Fatal(err)
	}
	if err := s.conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := openAll(c.result.Open, s.take(nil), 1<<20)
	if string(got) != "last words" || err != io.EOF {
		t.Fatalf("%q, %v", got, err)
	}
}

func TestFeedingTooEarlyIsALocalFault(t *testing.T) {
	client, _ := channels(t)
	client.Open.Feed([]byte{1})
	client.Open.Feed([]byte{2})
	if _, _, err := client.Open.Next(); !errors.Is(err, ErrLocal) {
		t.Errorf("fed twice: %v", err)
	}
	client, _ = channels(t)
	client.Open.Close()
	if _, _, err := client.Open.Next(); !errors.Is(err, ErrLocal) {
		t.Errorf("closed: %v", err)
	}
}

// Other implementations send session tickets to us; we cannot use them and must not mind.
func TestSessionTicketsAreIgnored(t *testing.T) {
	foreign := libp2pConfig(t, 2)
	foreign.ClientAuth = stdtls.RequireAnyClientCert
	foreign.SessionTicketsDisabled = false
	c, s := ours(t, config(t, false, 1)), other(true, foreign)
	connect(t, c, s)
	if _, err := s.conn.Write([]byte("behind a ticket")); err != nil {
		t.Fatal(err)
	}
	wire := s.take(nil)
	if len(s.sent)+len(wire) < 100 {
		t.Fatal("no ticket was sent")
	}
	if got, err := openAll(c.result.Open, wire, 7); err != nil || string(got) != "behind a ticket" {
		t.Fatalf("%q, %v", got, err)
	}
}

// updater is a server of ours with a client that sends records by hand.
func updater(t testing.TB) (us *Result, send, receive *rawHalf) {
	t.Helper()
	var keyLog strings.Builder
	foreign := libp2pConfig(t, 2)
	foreign.KeyLogWriter = &keyLog
	them, s := other(false, foreign), ours(t, config(t, true, 1))
	connect(t, them, s)
	return s.result, newRawHalf(t, them.conn, keyLog.String(), "CLIENT_TRAFFIC_SECRET_0"),
		newRawHalf(t, them.conn, keyLog.String(), "SERVER_TRAFFIC_SECRET_0")
}

func TestKeyUpdatesAreFollowedAndAnswered(t *testing.T) {
	us, send, receive := updater(t)
	for round := range 5 {
		wire := send.seal(recordData, []byte("old key "))
		wire = append(wire, send.seal(recordHandshake, keyUpdate)...)
		send.update()
		wire = append(wire, send.seal(recordData, []byte("new key "))...)
		wire = append(wire, send.seal(recordHandshake, keyUpdateRequested)...)
		send.update()
		wire = append(wire, send.seal(recordData, []byte("newest"))...)
		got, err := openAll(us.Open, wire, 1+round*13)
		if err != nil || string(got) != "old key new key newest" {
			t.Fatalf("round %d: %q, %v", round, got, err)
		}
		text := fmt.Sprint("answer ", round)
		want := us.Seal.SealedSize(len(text))
		sealed, err := us.Seal.Seal(nil, []byte(text))
		if err != nil || len(sealed) != want {
			t.Fatalf("round %d: sealed to %d, SealedSize says %d, %v", round, len(sealed), want, err)
		}
		kind, data, rest, err := receive.open(sealed)
		if err != nil || kind != recordHandshake || !bytes.Equal(data, keyUpdate) {
			t.Fatalf("round %d: first comes a record of kind %d, %x, %v", round, kind, data, err)
		}
		receive.update()
		kind, data, rest, err = receive.open(rest)
		if err != nil || kind != recordData || string(data) != text || len(rest) > 0 {
			t.Fatalf("round %d: then a record of kind %d, %q, %v", round, kind, data, err)
		}
	}
}

func TestPendingKeyUpdateCanBeSentWithoutData(t *testing.T) {
	us, send, receive := updater(t)
	if _, err := openAll(us.Open, send.seal(recordHandshake, keyUpdateRequested), 1<<20); err != nil {
		t.Fatal(err)
	}
	if us.Seal.SealedSize(0) == 0 {
		t.Fatal("nothing is pending")
	}
	sealed, err := us.Seal.Seal(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if kind, data, rest, err := receive.open(sealed); err != nil || kind != recordHandshake || !bytes.Equal(data, keyUpdate) || len(rest) > 0 {
		t.Fatalf("kind %d, %x, %v", kind, data, err)
	}
	if n := us.Seal.SealedSize(0); n != 0 {
		t.Fatalf("%d bytes are still pending", n)
	}
}

// A remote that asks for a key update with each byte of data, and reads none of the answers.
func TestKeyUpdateFloodIsBounded(t *testing.T) {
	us, send, _ := updater(t)
	for i := range 10000 {
		wire := send.seal(recordHandshake, keyUpdateRequested)
		send.update()
		wire = append(wire, send.seal(recordData, []byte{1})...)
		_, err := openAll(us.Open, wire, 1<<20)
		if n := us.Open.queues.pending(); n > MaxPending+100 {
			t.Fatalf("round %d: %d bytes are pending", i, n)
		}
		if err != nil {
			if !errors.Is(err, ErrLimit) {
				t.Fatalf("round %d: %v", i, err)
			}
			return
		}
	}
	t.Fatal("10000 key updates and no end")
}

// Records that carry nothing: crypto/tls bounds them.
func TestUselessRecordsAreBounded(t *testing.T) {
	for name, record := range map[string]func(*rawHalf) []byte{
		"empty data": func(h *rawHalf) []byte { return h.seal(recordData, nil) },
		"key update": func(h *rawHalf) []byte {
			b := h.seal(recordHandshake, keyUpdate)
			h.update()
			return b
		},
		"user canceled": func(h *rawHalf) []byte { return h.seal(recordAlert, []byte{1, 90}) },
	} {
		us, send, _ := updater(t)
		var err error
		for range 64 {
			if _, err = openAll(us.Open, record(send), 1<<20); err != nil {
				break
			}
		}
		if !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAlertOfTheRemoteEndsTheConnection(t *testing.T) {
	us, send, _ := updater(t)
	if _, err := openAll(us.Open, send.seal(recordAlert, []byte{2, 42}), 1<<20); !errors.Is(err, ErrRecord) {
		t.Fatalf("%v", err)
	}
}

// A client learns only afterwards that the server did not take its certificate.
func TestServersRefusalReachesTheClientAsAnError(t *testing.T) {
	cs := config(t, true, 2)
	cs.Expect = newIdentity(t, identity.Ed25519, 9).Peer()
	c, s := ours(t, config(t, false, 1)), ours(t, cs)
	l := &link{client: c, server: s}
	l.handshake()
	if s.err == nil || c.err != nil {
		t.Fatalf("client %v, server %v", c.err, s.err)
	}
	_, err := openAll(c.result.Open, s.take(nil), 1<<20)
	if !errors.Is(err, ErrRecord) || !strings.Contains(err.Error(), "bad certificate") {
		t.Fatalf("%v", err)
	}
}

func FuzzOpener(f *testing.F) {
	f.Add([]byte{23, 3, 3, 0, 20}, uint8(3), true)
	f.Add([]byte{21, 3, 3, 0, 2, 2, 40}, uint8(0), false)
	f.Fuzz(func(t *testing.T, wire []byte, size uint8, goodFirst bool) {
		client, server := channels(t)
		if goodFirst {
			sealed, err := client.Seal.Seal(nil, []byte("good"))
			if err != nil {
				t.Fatal(err)
			}
			wire = append(sealed, wire...)
		}
		got, _ := openAll(server.Open, wire, int(size)+1)
		if string(got) != "" && string(got) != "good" {
			t.Fatalf("opened %q", got)
		}
		server.Open.Close()
	})
}

func BenchmarkSealAndOpen64KiB(b *testing.B) {
	client, server := channels(b)
	data := randomBytes(64 << 10)
	var wire []byte
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		wire, _ = client.Seal.Seal(wire[:0], data)
		server.Open.Feed(wire)
		for ok := true; ok; {
			var err error
			if _, ok, err = server.Open.Next(); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkHandshakeBothSides(b *testing.B) {
	cc, cs := config(b, false, 1), config(b, true, 2)
	b.ReportAllocs()
	for b.Loop() {
		connect(b, ours(b, cc), ours(b, cs))
	}
}

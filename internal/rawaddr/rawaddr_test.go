package rawaddr

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode"

	ma "github.com/multiformats/go-multiaddr"
)

const peerA = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"

// good is one address of each protocol that go-multiaddr knows.
var good = []string{
	"/ip4/1.2.3.4",
	"/ip4/1.2.3.4/tcp/4001",
	"/ip4/1.2.3.4/tcp/4001/p2p/" + peerA,
	"/ip4/1.2.3.4/tcp/4001/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N/p2p-circuit/p2p/" + peerA,
	"/ip6/2001:db8::1/udp/443/quic-v1",
	"/ip6zone/eth0/ip6/fe80::1/tcp/1",
	"/ip4/10.0.0.0/ipcidr/8",
	"/ip4/1.2.3.4/udp/443/quic-v1/webtransport/certhash/uEiAkH5a4DPGKUuOBjYw0CgwjvcJCJMD2K_1aluKR_tpevQ/certhash/uEiAfbgiymPP2_nX7Dgir8B4QkksjHp2lVuJZz0F79Be9JA",
	"/ip4/1.2.3.4/udp/443/webrtc-direct/certhash/uEiAkH5a4DPGKUuOBjYw0CgwjvcJCJMD2K_1aluKR_tpevQ",
	"/dns/example.org/tcp/443/tls/sni/example.org/ws",
	"/dns4/ex%61mple.org/tcp/443/wss",
	"/dns6/xn--bcher-kva.example/tcp/443/wss",
	"/dnsaddr/bücher.example",
	"/dns4/example.org/tcp/443/tls/ws/http-path/a%2Fb",
	"/dns4/example.org/tcp/443/tls/http",
	"/dns4/example.org/tcp/443/https",
	"/unix/run/troupe.sock",
	"/memory/18446744073709551615",
	"/onion/timaq4ygg2iegci7:80",
	"/onion3/vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd:1234",
	"/garlic32/566niximlxdzpanmn4qouucvua3k7neniwss47li5r6ugoertzuq",
	"/garlic64/jT~IyXaoauTni6N4517EG8mrFUKpy0IlgZh-EY9csMAk82Odatmzr~YTZy8Hv7u~wvkg75EFNOyqb~nAPg-khyp2TS~ObUz8WlqYAM2VlEzJ7wJB91P-cUlKF18zSzVoJFmsrcQHZCirSbWoOknS6iNmsGRh5KVZsBEfp1Dg3gwTipTRIx7Vl5Vy~1OSKQVjYiGZS9q8RL0MF~7xFiKxZDLbPxk0AK9TzGGqm~wMTI2HS0Gm4Ycy8LYPVmLvGonIBYndg2bJC7WLuF6tVjVquiokSVDKFwq70BCUU5AU-EvdOD5KEOAM7mPfw-gJUG4tm1TtvcobrObqoRnmhXPTBTN5H7qDD12AvlwFGnfAlBXjuP4xOUAISL5SRLiulrsMSiT4GcugSI80mF6sdB0zWRgL1yyvoVWeTBn1TqjO27alr95DGTluuSqrNAxgpQzCKEWAyzrQkBfo2avGAmmz2NaHaAvYbOg0QSJz1PLjv2jdPW~ofiQmrGWM1cd~1cCqAAAA",
	"/ip4/1.2.3.4/udp/1/quic",
	"/ip4/1.2.3.4/udp/1/utp", "/ip4/1.2.3.4/udp/1/udt", "/ip4/1.2.3.4/sctp/1", "/ip4/1.2.3.4/dccp/1",
	"/ip4/1.2.3.4/tcp/1/http/p2p-webrtc-direct",
	"/ip4/1.2.3.4/tcp/1/noise", "/ip4/1.2.3.4/tcp/1/plaintextv2",
	"/webrtc",
}

func addr(t testing.TB, s string) ma.Multiaddr {
	t.Helper()
	a, err := ma.NewMultiaddr(s)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return a
}

func TestEveryProtocolComesThroughUnchanged(t *testing.T) {
	for _, s := range good {
		want := addr(t, s)
		b := want.Bytes()
		got, err := Parse(b)
		if err != nil || !got.Equal(want) || got.String() != want.String() {
			t.Errorf("%s: %v, %v", s, got, err)
			continue
		}
		for i := range b {
			b[i] = 0xff // the result must not look at b any more
		}
		if !got.Equal(want) {
			t.Errorf("%s: changed with the bytes that it was read from", s)
		}
	}
}

func TestTruncatedAnywhereIsAnErrorOrAShorterAddress(t *testing.T) {
	for _, s := range good {
		b := addr(t, s).Bytes()
		ends := map[int]bool{}
		at := 0
		for _, c := range addr(t, s) {
			at += len(c.Bytes())
			ends[at] = true
		}
		for i := range b {
			if a, err := Parse(b[:i]); (err == nil) != ends[i] {
				t.Errorf("%s, %d of %d bytes: %v, %v", s, i, len(b), a, err)
			}
		}
	}
}

func TestHostileBytesAreRefused(t *testing.T) {
	str := func(code byte, s string) []byte { return append([]byte{code, byte(len(s))}, s...) }
	for why, c := range map[string]struct {
		b    []byte
		kind error
	}{
		"nothing":                         {nil, ErrMalformed},
		"an unknown protocol":             {[]byte{0x7f}, ErrMalformed},
		"a code that is not minimal":      {[]byte{0x84, 0x00, 1, 2, 3, 4}, ErrMalformed},
		"a code of ten bytes":             {bytes.Repeat([]byte{0xff}, 10), ErrMalformed},
		"a length of 2^62":                {append([]byte{0x35}, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40), ErrMalformed},
		"a length of 2^63":                {append([]byte{0x35}, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01), ErrMalformed},
		"an empty name":                   {str(0x35, ""), ErrMalformed},
		"a name with a line end":          {str(0x35, "a\nb"), ErrMalformed},
		"a name with a carriage return":   {str(0x36, "a\rb"), ErrMalformed},
		"a name with an escape":           {str(0x37, "\x1b[2J"), ErrMalformed},
		"a name with a zero":              {str(0x38, "a\x00"), ErrMalformed},
		"a name with a space":             {str(0x35, "a b"), ErrMalformed},
		"a name with a slash":             {str(0x35, "a/tcp/1"), ErrMalformed},
		"a name that is not UTF-8":        {str(0x35, "a\xff"), ErrMalformed},
		"a name that turns the direction": {str(0x35, "a\u202eb"), ErrMalformed},
		"a name of 254 bytes":             {append([]byte{0x35, 0xfe, 0x01}, strings.Repeat("a", 254)...), ErrLimit},
		"a zone with a line end":          {append(str(0x2a, "a\nb"), append([]byte{0x29}, make([]byte, 16)...)...), ErrMalformed},
		"a socket path with a line end":   {append([]byte{0x90, 0x03, 4}, "/a\nb"...), ErrMalformed},
		"an onion of port 0":              {append([]byte{0xbc, 0x03}, make([]byte, 12)...), ErrMalformed},
		"an onion cut short":              {append([]byte{0xbc, 0x03}, make([]byte, 11)...), ErrMalformed},
		"an onion3 cut short":             {append([]byte{0xbd, 0x03}, make([]byte, 36)...), ErrMalformed},
		"a peer of another hash":          {append([]byte{0xa5, 0x03, 66, 0x13, 0x40}, make([]byte, 64)...), ErrMalformed},
		"a peer of 43 inline bytes":       {append([]byte{0xa5, 0x03, 45, 0x00, 43}, make([]byte, 43)...), ErrMalformed},
		"a peer of no inline bytes":       {[]byte{0xa5, 0x03, 2, 0x00, 0x00}, ErrMalformed},
		"an empty peer":                   {[]byte{0xa5, 0x03, 0}, ErrMalformed},
		"33 components":                   {bytes.Repeat([]byte{0xa2, 0x02}, 33), ErrLimit},
		"1,025 bytes":                     {bytes.Repeat([]byte{4, 1, 2, 3, 4}, 205), ErrLimit},
		"a component behind a path":       {append([]byte{0x90, 0x03, 2}, "/a\x06\x00\x01"...), ErrMalformed},
	} {
		a, err := Parse(c.b)
		if !errors.Is(err, c.kind) {
			t.Errorf("%s: %v, %v; want kind %q", why, a, err, c.kind)
			continue
		}
		if len(err.Error()) > 300 || strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%s: the error cannot be logged: %q", why, err)
		}
	}
	if _, err := Parse(bytes.Repeat([]byte{0xa2, 0x02}, MaxComponents)); err != nil {
		t.Errorf("%d components: %v", MaxComponents, err)
	}
}

func TestCheckBoundsWhatWasNotReadByParse(t *testing.T) {
	long := addr(t, strings.Repeat("/ip4/1.2.3.4", MaxComponents+1))
	if err := Check(long); !errors.Is(err, ErrLimit) {
		t.Errorf("too many components: %v", err)
	}
	name := "/dns/" + strings.Repeat("a", 250)
	if err := Check(addr(t, strings.Repeat(name, 5))); !errors.Is(err, ErrLimit) {
		t.Errorf("too many bytes: %v", err)
	}
	if err := Check(nil); !errors.Is(err, ErrMalformed) {
		t.Errorf("nil: %v", err)
	}
}

// FuzzParse prints every address that is accepted, which is where others have crashed.
func FuzzParse(f *testing.F) {
	for _, s := range good {
		f.Add(addr(f, s).Bytes())
	}
	f.Add([]byte{0xbc, 0x03, 1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := Parse(b)
		if err != nil {
			if strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Fatalf("%x: the error cannot be logged: %q", b, err)
			}
			return
		}
		if !bytes.Equal(a.Bytes(), b) {
			t.Fatalf("%x came back as %x", b, a.Bytes())
		}
		s := a.String()
		if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("%x prints as %q", b, s)
		}
		for i := range a {
			if a[i].String() == "" || a[i].Protocol().Code == 0 {
				t.Fatalf("%x: component %d prints as nothing", b, i)
			}
		}
		back, err := ma.NewMultiaddr(s)
		if err != nil || !back.Equal(a) {
			t.Fatalf("%x prints as %q, which reads as %v, %v", b, s, back, err)
		}
	})
}

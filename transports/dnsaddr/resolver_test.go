package dnsaddr

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/troupe-p2p/troupe/actors"
	"github.com/troupe-p2p/troupe/testkit/transporttest"

	ma "github.com/multiformats/go-multiaddr"
)

const (
	peerA = "/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
	peerB = "/p2p/QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC"
)

// zone is a name server on paper.
type zone struct {
	ip   map[string][]string
	txt  map[string][]string
	fail map[string]error
	hang map[string]bool // until the context is over
	deaf chan struct{}   // what hangs waits for this and not for its context

	mu    sync.Mutex
	asked []string
	now   int
	peak  int
}

const aHash = "/certhash/uEiAkH5a4DPGKUuOBjYw0CgwjvcJCJMD2K_1aluKR_tpevQ"

func (z *zone) enter(ctx context.Context, name string) error {
	z.mu.Lock()
	z.asked = append(z.asked, name)
	z.now++
	z.peak = max(z.peak, z.now)
	z.mu.Unlock()
	defer func() {
		z.mu.Lock()
		z.now--
		z.mu.Unlock()
	}()
	if z.hang[name] {
		if z.deaf != nil {
			<-z.deaf
			return errors.New("too late")
		}
		<-ctx.Done()
		return ctx.Err()
	}
	return z.fail[name]
}

func (z *zone) LookupIPAddr(ctx context.Context, name string) ([]net.IPAddr, error) {
	if err := z.enter(ctx, name); err != nil {
		return nil, err
	}
	var out []net.IPAddr
	for _, s := range z.ip[name] {
		out = append(out, net.IPAddr{IP: net.ParseIP(s)})
	}
	return out, nil
}

func (z *zone) LookupTXT(ctx context.Context, name string) ([]string, error) {
	if err := z.enter(ctx, name); err != nil {
		return nil, err
	}
	return z.txt[name], nil
}

func resolve(t *testing.T, z *zone, cfg Config, a string) ([]string, error) {
	t.Helper()
	cfg.Lookup = z
	addrs, err := New(transporttest.Runtime(t), cfg).Resolve(t.Context(), ma.StringCast(a))
	var out []string
	for _, a := range addrs {
		out = append(out, a.String())
	}
	return out, err
}

func TestNamesBecomeAddresses(t *testing.T) {
	for _, c := range []struct {
		name string
		zone *zone
		addr string
		want []string
	}{
		{"no name", &zone{}, "/ip4/192.0.2.1/tcp/1", []string{"/ip4/192.0.2.1/tcp/1"}},
		{"dns takes both", &zone{ip: map[string][]string{"a.test": {"192.0.2.1", "2001:db8::1"}}}, "/dns/a.test/tcp/1",
			[]string{"/ip4/192.0.2.1/tcp/1", "/ip6/2001:db8::1/tcp/1"}},
		{"dns4", &zone{ip: map[string][]string{"a.test": {"192.0.2.1", "2001:db8::1"}}}, "/dns4/a.test/tcp/1" + peerA,
			[]string{"/ip4/192.0.2.1/tcp/1" + peerA}},
		{"dns6", &zone{ip: map[string][]string{"a.test": {"192.0.2.1", "2001:db8::1"}}}, "/dns6/a.test/tcp/1",
			[]string{"/ip6/2001:db8::1/tcp/1"}},
		{"dnsaddr over two names, the wanted peer only", &zone{
			txt: map[string][]string{
				"_dnsaddr.boot.test": {"dnsaddr=/dnsaddr/one.boot.test" + peerA, "dnsaddr=/dnsaddr/two.boot.test" + peerB, "v=spf1", "dnsaddr=rubbish"},
				"_dnsaddr.one.boot.test": {"dnsaddr=/dns4/one.test/tcp/1" + peerA, "dnsaddr=/ip4/192.0.2.9/tcp/9" + peerA,
					"dnsaddr=/ip4/192.0.2.66/tcp/9" + peerB},
			},
			ip: map[string][]string{"one.test": {"192.0.2.1"}},
		}, "/dnsaddr/boot.test" + peerA, []string{"/ip4/192.0.2.9/tcp/9" + peerA, "/ip4/192.0.2.1/tcp/1" + peerA}},
		{"what was found makes up for what was not", &zone{
			txt:  map[string][]string{"_dnsaddr.boot.test": {"dnsaddr=/dns4/dead.test/tcp/1", "dnsaddr=/dns4/live.test/tcp/1"}},
			ip:   map[string][]string{"live.test": {"192.0.2.1"}},
			fail: map[string]error{"dead.test": &net.DNSError{Err: "no such host", Name: "dead.test", IsNotFound: true}},
		}, "/dnsaddr/boot.test", []string{"/ip4/192.0.2.1/tcp/1"}},
		{"an address is listed once", &zone{ip: map[string][]string{"a.test": {"192.0.2.1", "192.0.2.1"}}}, "/dns4/a.test/tcp/1",
			[]string{"/ip4/192.0.2.1/tcp/1"}},
		{"a certificate is for the name", &zone{
			txt: map[string][]string{"_dnsaddr.boot.test": {"dnsaddr=/dns4/a.test/tcp/1/wss" + peerA}},
			ip:  map[string][]string{"a.test": {"192.0.2.1"}},
		}, "/dnsaddr/boot.test", []string{"/ip4/192.0.2.1/tcp/1/tls/sni/a.test/ws" + peerA}},
		{"a certificate is for the name, with a path", &zone{ip: map[string][]string{"a.test": {"192.0.2.1"}}},
			"/dns/a.test/tcp/1/tls/ws/http-path/x%2Fy" + peerA, []string{"/ip4/192.0.2.1/tcp/1/tls/sni/a.test/ws/http-path/x%2Fy" + peerA}},
		{"a certificate is for another name", &zone{ip: map[string][]string{"a.test": {"192.0.2.1"}}},
			"/dns4/a.test/tcp/1/tls/sni/b.test/ws", []string{"/ip4/192.0.2.1/tcp/1/tls/sni/b.test/ws"}},
		{"without TLS there is no certificate", &zone{ip: map[string][]string{"a.test": {"192.0.2.1"}}},
			"/dns4/a.test/tcp/1/ws", []string{"/ip4/192.0.2.1/tcp/1/ws"}},
		{"certificates are known by their hashes", &zone{ip: map[string][]string{"a.test": {"192.0.2.1", "2001:db8::1"}}},
			"/dns/a.test/udp/1/quic-v1/webtransport" + aHash + aHash + peerA, []string{
				"/ip4/192.0.2.1/udp/1/quic-v1/webtransport" + aHash + aHash + peerA, "/ip6/2001:db8::1/udp/1/quic-v1/webtransport" + aHash + aHash + peerA,
			}},
		{"an answer that would harm a log is dropped", &zone{
			txt: map[string][]string{"_dnsaddr.a.test": {"dnsaddr=/dns4/x\x1b[2Jy/tcp/1", "dnsaddr=/ip4/192.0.2.1/tcp/1"}},
		}, "/dnsaddr/a.test", []string{"/ip4/192.0.2.1/tcp/1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := resolve(t, c.zone, Config{}, c.addr)
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("got %v, %v; want %v", got, err, c.want)
			}
		})
	}
}

func TestFailuresSayWhose(t *testing.T) {
	for _, c := range []struct {
		name   string
		zone   *zone
		want   error
		prefix string
	}{
		{"nothing there", &zone{}, ErrNoAddress, "dns: remote: resolve /dnsaddr/a.test: "},
		{"names without end", &zone{txt: endless()}, ErrDepth, "dns: limit: "},
		{"a server that fails", &zone{fail: map[string]error{"_dnsaddr.a.test": errServer}}, errServer, "dns: remote: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := resolve(t, c.zone, Config{}, "/dnsaddr/a.test")
			if !errors.Is(err, c.want) || !strings.HasPrefix(err.Error(), c.prefix) {
				t.Errorf("err = %v", err)
			}
			if len(c.zone.asked) > MaxDepth {
				t.Errorf("asked for %v", c.zone.asked)
			}
		})
	}
}

var errServer = errors.New("server misbehaving")

// endless is a chain of names: a.test, aa.test, aaa.test and so on.
func endless() map[string][]string {
	txt := map[string][]string{}
	for n := range 20 {
		txt["_dnsaddr."+strings.Repeat("a", n+1)+".test"] = []string{"dnsaddr=/dnsaddr/" + strings.Repeat("a", n+2) + ".test"}
	}
	return txt
}

func TestACircleIsAskedOnce(t *testing.T) {
	z := &zone{txt: map[string][]string{
		"_dnsaddr.a.test": {"dnsaddr=/dnsaddr/b.test", "dnsaddr=/dnsaddr/a.test"},
		"_dnsaddr.b.test": {"dnsaddr=/dnsaddr/a.test"},
	}}
	if _, err := resolve(t, z, Config{}, "/dnsaddr/a.test"); !errors.Is(err, ErrNoAddress) {
		t.Errorf("err = %v", err)
	}
	if len(z.asked) != 2 {
		t.Errorf("asked for %v", z.asked)
	}
}

// bomb is a name that leads to a hundred names, each of which leads to a hundred more.
func bomb(leaf string) *zone {
	z := &zone{txt: map[string][]string{}, ip: map[string][]string{}}
	for i := range 100 {
		z.txt["_dnsaddr.a.test"] = append(z.txt["_dnsaddr.a.test"], fmt.Sprintf("dnsaddr=/dnsaddr/n%d.test", i))
		name := fmt.Sprintf("_dnsaddr.n%d.test", i)
		for j := range 100 {
			z.txt[name] = append(z.txt[name], fmt.Sprintf(leaf, i, j))
		}
	}
	return z
}

func TestANameThatMultipliesIsBounded(t *testing.T) {
	z := bomb("dnsaddr=/dnsaddr/n%d-%d.test")
	_, err := resolve(t, z, Config{}, "/dnsaddr/a.test")
	if !errors.Is(err, ErrTooMany) {
		t.Errorf("err = %v", err)
	}
	if len(z.asked) > maxLookups || z.peak > atOnce {
		t.Errorf("%d look-ups, %d at once", len(z.asked), z.peak)
	}
	z = bomb("dnsaddr=/ip4/10.0.%d.%d/tcp/1")
	got, err := resolve(t, z, Config{}, "/dnsaddr/a.test")
	if err != nil || len(got) != MaxAddrs {
		t.Errorf("%d addresses, %v", len(got), err)
	}
}

func TestADeadServerDoesNotTakeTheOthersTime(t *testing.T) {
	z := &zone{
		txt:  map[string][]string{"_dnsaddr.a.test": {"dnsaddr=/dns4/dead.test/tcp/1", "dnsaddr=/dns4/live.test/tcp/1"}},
		ip:   map[string][]string{"live.test": {"192.0.2.1"}},
		hang: map[string]bool{"dead.test": true},
	}
	got, err := resolve(t, z, Config{LookupTimeout: 20 * time.Millisecond, Timeout: time.Hour}, "/dnsaddr/a.test")
	if err != nil || !slices.Equal(got, []string{"/ip4/192.0.2.1/tcp/1"}) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestAServerThatNeverAnswersIsLeftBehind(t *testing.T) {
	for _, cfg := range []Config{
		{LookupTimeout: 20 * time.Millisecond, Timeout: time.Hour},
		{LookupTimeout: time.Hour, Timeout: 20 * time.Millisecond},
	} {
		z := &zone{hang: map[string]bool{"a.test": true}, deaf: make(chan struct{})}
		cfg.Lookup = z
		r := New(transporttest.Runtime(t), cfg)
		_, err := r.Resolve(t.Context(), ma.StringCast("/dns/a.test/tcp/1"))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v", err)
		}
		close(z.deaf)
	}
}

func TestACallersCancelIsTheCallersError(t *testing.T) {
	z := &zone{hang: map[string]bool{"a.test": true}}
	r := New(transporttest.Runtime(t), Config{Lookup: z})
	ctx, cancel := context.WithCancelCause(t.Context())
	got := make(chan error, 2)
	r.Start(ctx, ma.StringCast("/dns/a.test/tcp/1"), func(_ []ma.Multiaddr, err error) { got <- err })
	why := errors.New("the peer is connected already")
	cancel(why)
	if err := <-got; !errors.Is(err, context.Canceled) || !errors.Is(err, why) {
		t.Errorf("err = %v", err)
	}
}

// buggy is a resolver that panics.
type buggy struct{ zone }

func (*buggy) LookupIPAddr(context.Context, string) ([]net.IPAddr, error) {
	panic("a bug in a resolver")
}

func TestAPanicInAResolverIsItsError(t *testing.T) {
	r := New(transporttest.Runtime(t), Config{Lookup: &buggy{}})
	_, err := r.Resolve(t.Context(), ma.StringCast("/dns/a.test/tcp/1"))
	var pe *actors.PanicError
	var de *Error
	if !errors.As(err, &pe) || !errors.As(err, &de) || de.Origin.String() != "local" {
		t.Errorf("err = %v", err)
	}
}

func TestStartCallsBackOnceAndLater(t *testing.T) {
	z := &zone{ip: map[string][]string{"a.test": {"192.0.2.1"}}}
	r := New(transporttest.Runtime(t), Config{Lookup: z})
	returned, calls := make(chan struct{}), make(chan int, 2)
	r.Start(t.Context(), ma.StringCast("/dns/a.test/tcp/1"), func(a []ma.Multiaddr, err error) {
		<-returned // a call on Start's own stack would wait here for ever
		calls <- len(a)
		panic("a bug in the caller")
	})
	close(returned)
	if n := <-calls; n != 1 {
		t.Errorf("%d addresses", n)
	}
}

func TestTheSystemResolverKnowsLocalhost(t *testing.T) {
	addrs, err := New(transporttest.Runtime(t), Config{}).Resolve(t.Context(), ma.StringCast("/dns4/localhost/tcp/1"))
	if err != nil || len(addrs) == 0 || addrs[0].String() != "/ip4/127.0.0.1/tcp/1" {
		t.Errorf("got %v, %v", addrs, err)
	}
}

// FuzzRecords has a stranger answer whatever it likes.
func FuzzRecords(f *testing.F) {
	f.Add("dnsaddr=/ip4/192.0.2.1/tcp/1", "dnsaddr=/dnsaddr/a.test", "dnsaddr=/dns4/b.test/tcp/1"+peerA)
	f.Add("dnsaddr=", "dnsaddr=/", "dnsaddr=//dns4/x")
	f.Fuzz(func(t *testing.T, one, two, three string) {
		z := &zone{
			txt: map[string][]string{"_dnsaddr.a.test": {one, two, three}, "_dnsaddr.b.test": {three, two}},
			ip:  map[string][]string{"b.test": {"192.0.2.7"}},
		}
		rt := actors.Live(actors.Options{})
		defer rt.Close(context.Background())
		addrs, err := New(rt, Config{Lookup: z}).Resolve(t.Context(), ma.StringCast("/dnsaddr/a.test"))
		if (err == nil) != (len(addrs) > 0) || len(addrs) > MaxAddrs || len(z.asked) > maxLookups {
			t.Fatalf("%d addresses, %d look-ups, %v", len(addrs), len(z.asked), err)
		}
		for _, a := range addrs {
			if NeedsResolving(a) {
				t.Fatalf("%s still holds a name", a)
			}
		}
	})
}

func TestBoundsSayWhatTheyStop(t *testing.T) {
	for _, b := range Bounds() {
		if b.Name == "" || b.Cap <= 0 || b.Attack == "" {
			t.Errorf("%+v", b)
		}
	}
}

func TestWhatANameServerSaysIsShownSafely(t *testing.T) {
	z := &zone{fail: map[string]error{"_dnsaddr.a.test": errors.New("lookup \x1b[2J\u202e" + strings.Repeat("x", 1<<16))}}
	_, err := resolve(t, z, Config{}, "/dnsaddr/a.test")
	if err == nil || len(err.Error()) > 700 || strings.ContainsAny(err.Error(), "\x1b\u202e") {
		t.Errorf("%.100q", err)
	}
}

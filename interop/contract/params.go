package contract

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Dialect is one of the two spellings of the contract.
type Dialect int

// The dialects.
const (
	TestPlans Dialect = iota
	UnifiedTesting
)

func (d Dialect) String() string { return words[d].suite }

// Params are what the environment says.
type Params struct {
	Dialect   Dialect
	Transport string
	// Security and Muxer are empty for a transport that brings its own.
	Security, Muxer string
	Dialer          bool
	IP              netip.Addr // to listen on
	Redis           string
	Key             string // of the list in which the address is left
	Timeout         time.Duration
	Debug           bool
}

// words are the names of the variables. Peers disagree about the timeout's, so every name that one
// of them reads is taken.
var words = [...]struct {
	suite                                        string
	transport, security, muxer, dialer, ip, addr string
	timeout                                      []string
	debug, testKey                               string
}{
	TestPlans: {
		suite: "test-plans", transport: "transport", security: "security", muxer: "muxer", dialer: "is_dialer",
		ip: "ip", addr: "redis_addr", timeout: []string{"test_timeout_seconds", "test_timeout_secs"},
	},
	UnifiedTesting: {
		suite: "unified-testing", transport: "TRANSPORT", security: "SECURE_CHANNEL", muxer: "MUXER", dialer: "IS_DIALER",
		ip: "LISTENER_IP", addr: "REDIS_ADDR", timeout: []string{"TEST_TIMEOUT_SECS", "TEST_TIMEOUT_SECONDS"},
		debug: "DEBUG", testKey: "TEST_KEY",
	},
}

const (
	defaultRedis   = "redis:6379" // of test-plans; unified-testing always says where
	defaultTimeout = 180 * time.Second
	// maxTimeout keeps a wrong number from becoming a negative duration.
	maxTimeout = 24 * time.Hour

	listenerAddr    = "listenerAddr"
	listenerAddrEnd = "_listener_multiaddr"
)

// Read takes the environment of either suite. It says what is missing or wrong, by name.
func Read(getenv func(string) string) (Params, error) {
	p := Params{Dialect: TestPlans}
	legacy, unified := getenv(words[TestPlans].transport), getenv(words[UnifiedTesting].transport)
	switch {
	case legacy != "" && unified != "":
		return p, fmt.Errorf("both transport=%s and TRANSPORT=%s are set: one of them is of another suite", legacy, unified)
	case legacy == "" && unified == "":
		return p, fmt.Errorf("neither transport nor TRANSPORT is set")
	case unified != "":
		p.Dialect = UnifiedTesting
	}
	w := words[p.Dialect]
	p.Transport = legacy + unified
	row, ok := transport(p.Transport)
	if !ok {
		return p, fmt.Errorf("%s: unknown transport %q", w.transport, p.Transport)
	}
	if !row.Standalone { // else nobody asks what is there
		if p.Security = getenv(w.security); p.Security == "" {
			return p, fmt.Errorf("%s is not set, and %s has no security of its own", w.security, p.Transport)
		}
		if p.Muxer = getenv(w.muxer); p.Muxer == "" {
			return p, fmt.Errorf("%s is not set, and %s has no muxer of its own", w.muxer, p.Transport)
		}
	}
	switch d := getenv(w.dialer); d {
	case "true", "false":
		p.Dialer = d == "true"
	default:
		return p, fmt.Errorf("%s is %q: want true or false", w.dialer, d)
	}
	if err := p.readMeeting(getenv); err != nil {
		return p, err
	}
	p.Debug = w.debug != "" && getenv(w.debug) == "true"
	return p, nil
}

// readMeeting reads where, by which name and for how long the two look for each other.
func (p *Params) readMeeting(getenv func(string) string) error {
	w := words[p.Dialect]
	p.IP = netip.IPv4Unspecified()
	if s := getenv(w.ip); s != "" {
		ip, err := netip.ParseAddr(s)
		if err != nil {
			return fmt.Errorf("%s is no IP address: %w", w.ip, err)
		}
		p.IP = ip.Unmap().WithZone("")
	}
	p.Redis, p.Key = getenv(w.addr), listenerAddr
	if p.Dialect == UnifiedTesting {
		if p.Redis == "" {
			return fmt.Errorf("%s is not set", w.addr)
		}
		key := getenv(w.testKey)
		if key == "" {
			return fmt.Errorf("%s is not set", w.testKey)
		}
		p.Key = key + listenerAddrEnd
	}
	if p.Redis == "" {
		p.Redis = defaultRedis
	}
	p.Timeout = defaultTimeout
	for _, name := range w.timeout {
		s := strings.TrimSpace(getenv(name))
		if s == "" {
			continue
		}
		n, err := strconv.Atoi(s)
		if err != nil || n <= 0 || n > int(maxTimeout/time.Second) {
			return fmt.Errorf("%s is %q: want seconds, 1 to %d", name, s, int(maxTimeout/time.Second))
		}
		p.Timeout = time.Duration(n) * time.Second
		break
	}
	return nil
}

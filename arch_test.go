package troupe_test

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
)

// This table is a statement of policy: which part of the tree may look at which. Do not change
// it to fix a build; change it with a decision record in docs/adr, when the design changes.
//
// A row is found by the first pattern that fits a package: "a/b" is that package, "a/*" any one
// folder below, "a/..." a and everything below. What a row may import of ours is given by the
// same patterns; "own" means the cores below the package itself. Direct imports count, of files
// that are not tests.
var archPolicy = []archRow{
	{"actors", aKit, nil},
	{"internal/...", aLeaf, nil},
	{"messages/wire/...", aLeaf, nil},
	{"identity", aValue, []string{"internal/...", "messages/wire/..."}},
	{"addrs", aValue, []string{"internal/...", "identity"}},
	{"transports/conduit", aContract, []string{"internal/...", "identity", "addrs"}},
	{"stream", aHandle, []string{"actors", "internal/...", "identity", "addrs", "transports/conduit"}},
	{"messages", aMessage, []string{"actors", "identity", "addrs", "transports/conduit", "stream"}},

	// upgrade composes the handshakes; a core that needs another sibling gets a row of its own.
	{"negotiation/upgrade", aCore, append([]string{
		"negotiation/multistream", "negotiation/noise", "negotiation/plaintext", "negotiation/pnet",
	}, archForCores...)},
	{"mux/yamux", aCore, archForCores},
	{"negotiation/admission", aCore, archForCores},
	{"negotiation/multistream", aCore, archForCores},
	{"negotiation/noise", aCore, archForCores},
	{"negotiation/plaintext", aCore, archForCores},
	{"negotiation/pnet", aCore, archForCores},
	{"peers/connset", aCore, archForCores},
	{"peers/dialplan", aCore, archForCores},
	{"peers/limits", aCore, archForCores},
	{"peers/story", aCore, append([]string{"peers/dialplan"}, archForCores...)},
	{"peerstore/book", aCore, archForCores},
	{"relay/circuit", aCore, archForCores},
	{"natpunch/autonat", aCore, archForCores},
	{"natpunch/dcutr", aCore, archForCores},
	{"natpunch/observed", aCore, archForCores},
	{"protocols/*/*", aCore, archForCores},

	// Parts of adapters: docs/adr/0012.
	{"transports/internal/quicstack/quicstacktest", aTest, []string{"..."}},
	{"transports/internal/...", anAdapter, archForAdapters},
	{"transports/memory", aNearby, archForAdapters},                                                   // the one transport of simulated networks
	{"transports/quic", anAdapter, append([]string{"negotiation/tls"}, archForAdapters...)},           // its handshake is TLS
	{"transports/webtransport", anAdapter, append([]string{"negotiation/noise"}, archForAdapters...)}, // docs/adr/0015
	{"transports/webrtc", anAdapter, append([]string{"negotiation/noise"}, archForAdapters...)},       // proves identities by Noise
	{"transports/*", anAdapter, archForAdapters},
	{"negotiation/tls", anAdapter, archForAdapters}, // crypto/tls cannot be pure

	// Domains do not import each other: siblings meet through messages and refs that the root
	// hands out. multistream is the exception, because every stream begins with it.
	{"transports", aDomain, archForDomains},
	{"negotiation", aDomain, archForDomains},
	{"mux", aDomain, archForDomains},
	{"peers", aDomain, archForDomains},
	{"peerstore", aDomain, archForDomains},
	{"relay", aDomain, archForDomains},
	{"natpunch", aDomain, archForDomains},
	{"protocols", aDomain, archForDomains},
	{"protocols/*", aDomain, archForDomains},
	{"inspect", aDomain, archForDomains},

	{".", aRoot, []string{"..."}},
	{"cmd/...", aProgram, []string{"..."}},
	{"examples/...", aProgram, []string{"..."}},
	{"testkit/...", aTest, []string{"..."}},
}

var (
	archForCores    = []string{"internal/...", "identity", "addrs", "messages/wire/..."}
	archForAdapters = []string{"internal/...", "identity", "addrs", "transports/conduit", "actors", "transports/internal/..."}
	archForDomains  = []string{
		"actors", "internal/...", "identity", "addrs", "transports/conduit", "stream", "messages",
		"messages/wire/...", "negotiation/multistream", "own",
	}
)

// A layer says what the code of a row may do, whoever it imports. The zero value may do least.
type archLayer struct {
	name  string
	waits bool // may use channels, locks and contexts
	io    bool // may import what talks to the world: net, os, loggers, sources of randomness
	clock bool // may read the clock and set the runtime's timers
	spawn bool // may start goroutines
	live  bool // never runs in a simulation, so that the order of maps and selects is its own
}

var (
	aValue    = archLayer{name: "value"}
	aMessage  = archLayer{name: "message"}
	aCore     = archLayer{name: "core"}
	aLeaf     = archLayer{name: "leaf", waits: true}
	aContract = archLayer{name: "contract", waits: true}
	aHandle   = archLayer{name: "handle", waits: true, io: true}
	aDomain   = archLayer{name: "domain", waits: true, io: true}
	aRoot     = archLayer{name: "root", waits: true, io: true}
	aKit      = archLayer{name: "kit", waits: true, io: true, clock: true, spawn: true}
	aNearby   = archLayer{name: "adapter", waits: true, io: true}
	anAdapter = archLayer{name: "adapter", waits: true, io: true, clock: true, live: true}
	aProgram  = archLayer{name: "program", waits: true, io: true, clock: true, live: true}
	aTest     = archLayer{name: "tests", waits: true, io: true, clock: true, spawn: true, live: true}
)

// The standard library's packages that a layer without waits or without io does without. A
// package that is not listed is free.
var (
	archWaiting = []string{"context", "sync", "sync/..."}
	archWorld   = []string{
		"crypto/rand", "crypto/tls", "database/...", "embed", "expvar", "flag", "io/fs", "log", "log/...",
		"math/rand", "math/rand/...", "net", "net/http/...", "net/mail", "net/rpc/...", "net/smtp", "net/textproto",
		"net/url", "os", "os/...", "plugin", "runtime/...", "syscall", "syscall/...", "testing", "testing/...",
	}
)

// The libraries that are not everybody's. One that is not listed may be used by every layer.
var archLibraries = map[string][]string{
	"github.com/asynkron/protoactor-go":   {"kit", "domain", "root", "tests"},
	"github.com/prometheus/client_golang": {"domain", "root", "program"},
	"github.com/spf13/cobra":              {"program"},
	"go.uber.org/zap":                     {"kit", "domain", "root", "program", "tests"},
}

type archRow struct {
	pattern string
	layer   archLayer
	may     []string
}

// archRowOf returns the row of a package, named by its path below the module.
func archRowOf(pkg string) (archRow, bool) {
	for _, r := range archPolicy {
		if archFits(r.pattern, pkg) {
			return r, true
		}
	}
	return archRow{}, false
}

func archFits(pattern, pkg string) bool {
	if pattern == "..." {
		return true
	}
	if below, ok := strings.CutSuffix(pattern, "/..."); ok {
		return pkg == below || strings.HasPrefix(pkg, below+"/")
	}
	ok, err := path.Match(pattern, pkg)
	return ok && err == nil
}

func archFitsAny(patterns []string, pkg string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return archFits(p, pkg) })
}

func TestEveryPackageHasItsPlaceInThePolicy(t *testing.T) {
	for _, p := range archLoad(t).packages {
		if _, ok := archRowOf(p.path); !ok {
			t.Errorf("%s: no row in the policy says what it may import", p.path)
		}
	}
}

func TestPackagesImportOnlyWhatThePolicyAllows(t *testing.T) {
	for _, p := range archLoad(t).packages {
		r, ok := archRowOf(p.path)
		if !ok {
			continue // reported above
		}
		for _, f := range p.files {
			for _, imported := range f.imports() {
				if why := archRefuse(r, p.path, imported); why != "" {
					t.Errorf("%s imports %s: %s", f.name, imported, why)
				}
			}
		}
	}
}

// archRefuse says why a package of row r may not import another, or nothing.
func archRefuse(r archRow, pkg, imported string) string {
	if ours, ok := strings.CutPrefix(imported, archModule); ok {
		ours = strings.TrimPrefix(ours, "/")
		if ours == "" {
			ours = "."
		}
		switch {
		case archLayerOf(ours) == aTest.name && r.layer.name != aTest.name:
			return "that is for tests, ours and our users'"
		case archFitsAny(r.may, ours):
			return ""
		case slices.Contains(r.may, "own") && strings.HasPrefix(ours, pkg+"/") && archLayerOf(ours) == aCore.name:
			return ""
		}
		return fmt.Sprintf("the policy for %s allows %q", r.pattern, r.may)
	}
	if archFitsAny(archWaiting, imported) && !r.layer.waits {
		return fmt.Sprintf("a %s does not wait for anybody", r.layer.name)
	}
	if archFitsAny(archWorld, imported) && !r.layer.io {
		return fmt.Sprintf("a %s does no I/O and has no random source of its own", r.layer.name)
	}
	for lib, users := range archLibraries {
		if archFits(lib+"/...", imported) && !slices.Contains(users, r.layer.name) {
			return fmt.Sprintf("a %s does not use it, only %q do", r.layer.name, users)
		}
	}
	return ""
}

func archLayerOf(pkg string) string {
	r, _ := archRowOf(pkg)
	return r.layer.name
}

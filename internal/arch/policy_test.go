package arch

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
var policy = []row{
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
	}, forCores...)},
	{"mux/yamux", aCore, forCores},
	{"negotiation/admission", aCore, forCores},
	{"negotiation/multistream", aCore, forCores},
	{"negotiation/noise", aCore, forCores},
	{"negotiation/plaintext", aCore, forCores},
	{"negotiation/pnet", aCore, forCores},
	{"peers/connset", aCore, forCores},
	{"peers/dialplan", aCore, forCores},
	{"peers/limits", aCore, forCores},
	{"peers/story", aCore, append([]string{"peers/dialplan"}, forCores...)},
	{"peerstore/book", aCore, forCores},
	{"relay/circuit", aCore, forCores},
	{"natpunch/autonat", aCore, forCores},
	{"natpunch/dcutr", aCore, forCores},
	{"natpunch/observed", aCore, forCores},
	{"protocols/*/*", aCore, forCores},

	// Parts of adapters: docs/adr/0012.
	{"transports/internal/quicstack/quicstacktest", aTest, []string{"..."}},
	{"transports/internal/...", anAdapter, forAdapters},
	{"transports/memory", aNearby, forAdapters},                                                   // the one transport of simulated networks
	{"transports/quic", anAdapter, append([]string{"negotiation/tls"}, forAdapters...)},           // its handshake is TLS
	{"transports/webtransport", anAdapter, append([]string{"negotiation/noise"}, forAdapters...)}, // docs/adr/0015
	{"transports/webrtc", anAdapter, append([]string{"negotiation/noise"}, forAdapters...)},       // proves identities by Noise
	{"transports/*", anAdapter, forAdapters},
	{"negotiation/tls", anAdapter, forAdapters}, // crypto/tls cannot be pure

	// Domains do not import each other: siblings meet through messages and refs that the root
	// hands out. multistream is the exception, because every stream begins with it.
	{"transports", aDomain, forDomains},
	{"negotiation", aDomain, forDomains},
	{"mux", aDomain, forDomains},
	{"peers", aDomain, forDomains},
	{"peerstore", aDomain, forDomains},
	{"relay", aDomain, forDomains},
	{"natpunch", aDomain, forDomains},
	{"protocols", aDomain, forDomains},
	{"protocols/*", aDomain, forDomains},
	{"inspect", aDomain, forDomains},

	{".", aRoot, []string{"..."}},
	{"cmd/...", aProgram, []string{"..."}},
	{"examples/...", aProgram, []string{"..."}},
	{"testkit/...", aTest, []string{"..."}},
}

var (
	forCores    = []string{"internal/...", "identity", "addrs", "messages/wire/..."}
	forAdapters = []string{"internal/...", "identity", "addrs", "transports/conduit", "actors", "transports/internal/..."}
	forDomains  = []string{
		"actors", "internal/...", "identity", "addrs", "transports/conduit", "stream", "messages",
		"messages/wire/...", "negotiation/multistream", "own",
	}
)

// A layer says what the code of a row may do, whoever it imports. The zero value may do least.
type layer struct {
	name  string
	waits bool // may use channels, locks and contexts
	io    bool // may import what talks to the world: net, os, loggers, sources of randomness
	clock bool // may read the clock and set the runtime's timers
	spawn bool // may start goroutines
	live  bool // never runs in a simulation, so that the order of maps and selects is its own
}

var (
	aValue    = layer{name: "value"}
	aMessage  = layer{name: "message"}
	aCore     = layer{name: "core"}
	aLeaf     = layer{name: "leaf", waits: true}
	aContract = layer{name: "contract", waits: true}
	aHandle   = layer{name: "handle", waits: true, io: true}
	aDomain   = layer{name: "domain", waits: true, io: true}
	aRoot     = layer{name: "root", waits: true, io: true}
	aKit      = layer{name: "kit", waits: true, io: true, clock: true, spawn: true}
	aNearby   = layer{name: "adapter", waits: true, io: true}
	anAdapter = layer{name: "adapter", waits: true, io: true, clock: true, live: true}
	aProgram  = layer{name: "program", waits: true, io: true, clock: true, live: true}
	aTest     = layer{name: "tests", waits: true, io: true, clock: true, spawn: true, live: true}
)

// The standard library's packages that a layer without waits or without io does without. A
// package that is not listed is free.
var (
	waiting = []string{"context", "sync", "sync/..."}
	world   = []string{
		"crypto/rand", "crypto/tls", "database/...", "embed", "expvar", "flag", "io/fs", "log", "log/...",
		"math/rand", "math/rand/...", "net", "net/http/...", "net/mail", "net/rpc/...", "net/smtp", "net/textproto",
		"net/url", "os", "os/...", "plugin", "runtime/...", "syscall", "syscall/...", "testing", "testing/...",
	}
)

// The libraries that are not everybody's. One that is not listed may be used by every layer.
var libraries = map[string][]string{
	"github.com/asynkron/protoactor-go":   {"kit", "domain", "root", "tests"},
	"github.com/prometheus/client_golang": {"domain", "root", "program"},
	"github.com/spf13/cobra":              {"program"},
	"go.uber.org/zap":                     {"kit", "domain", "root", "program", "tests"},
}

type row struct {
	pattern string
	layer   layer
	may     []string
}

// rowOf returns the row of a package, named by its path below the module.
func rowOf(pkg string) (row, bool) {
	for _, r := range policy {
		if fits(r.pattern, pkg) {
			return r, true
		}
	}
	return row{}, false
}

func fits(pattern, pkg string) bool {
	if pattern == "..." {
		return true
	}
	if below, ok := strings.CutSuffix(pattern, "/..."); ok {
		return pkg == below || strings.HasPrefix(pkg, below+"/")
	}
	ok, err := path.Match(pattern, pkg)
	return ok && err == nil
}

func fitsAny(patterns []string, pkg string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return fits(p, pkg) })
}

func TestEveryPackageHasItsPlaceInThePolicy(t *testing.T) {
	for _, p := range load(t).packages {
		if _, ok := rowOf(p.path); !ok {
			t.Errorf("%s: no row in the policy says what it may import", p.path)
		}
	}
}

func TestPackagesImportOnlyWhatThePolicyAllows(t *testing.T) {
	for _, p := range load(t).packages {
		r, ok := rowOf(p.path)
		if !ok {
			continue // reported above
		}
		for _, f := range p.files {
			for _, imported := range f.imports() {
				if why := refuse(r, p.path, imported); why != "" {
					t.Errorf("%s imports %s: %s", f.name, imported, why)
				}
			}
		}
	}
}

// refuse says why a package of row r may not import another, or nothing.
func refuse(r row, pkg, imported string) string {
	if ours, ok := strings.CutPrefix(imported, module); ok {
		ours = strings.TrimPrefix(ours, "/")
		if ours == "" {
			ours = "."
		}
		switch {
		case layerOf(ours) == aTest.name && r.layer.name != aTest.name:
			return "that is for tests, ours and our users'"
		case fitsAny(r.may, ours):
			return ""
		case slices.Contains(r.may, "own") && strings.HasPrefix(ours, pkg+"/") && layerOf(ours) == aCore.name:
			return ""
		}
		return fmt.Sprintf("the policy for %s allows %q", r.pattern, r.may)
	}
	if fitsAny(waiting, imported) && !r.layer.waits {
		return fmt.Sprintf("a %s does not wait for anybody", r.layer.name)
	}
	if fitsAny(world, imported) && !r.layer.io {
		return fmt.Sprintf("a %s does no I/O and has no random source of its own", r.layer.name)
	}
	for lib, users := range libraries {
		if fits(lib+"/...", imported) && !slices.Contains(users, r.layer.name) {
			return fmt.Sprintf("a %s does not use it, only %q do", r.layer.name, users)
		}
	}
	return ""
}

func layerOf(pkg string) string {
	r, _ := rowOf(pkg)
	return r.layer.name
}

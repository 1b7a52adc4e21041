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
var policy = []row{
	{"actors", kit, nil},
	{"internal/...", leaf, nil},
	{"messages/wire/...", leaf, nil},
	{"identity", value, []string{"internal/...", "messages/wire/..."}},
	{"addrs", value, []string{"internal/...", "identity"}},
	{"transports/conduit", contract, []string{"internal/...", "identity", "addrs"}},
	{"stream", handle, []string{"actors", "internal/...", "identity", "addrs", "transports/conduit"}},
	{"messages", message, []string{"actors", "identity", "addrs", "transports/conduit", "stream"}},

	// upgrade composes the handshakes; a core that needs another sibling gets a row of its own.
	{"negotiation/upgrade", core, append([]string{
		"negotiation/multistream", "negotiation/noise", "negotiation/plaintext", "negotiation/pnet",
	}, forCores...)},
	{"mux/yamux", core, forCores},
	{"negotiation/admission", core, forCores},
	{"negotiation/multistream", core, forCores},
	{"negotiation/noise", core, forCores},
	{"negotiation/plaintext", core, forCores},
	{"negotiation/pnet", core, forCores},
	{"peers/connset", core, forCores},
	{"peers/dialplan", core, forCores},
	{"peers/limits", core, forCores},
	{"peerstore/book", core, forCores},
	{"relay/circuit", core, forCores},
	{"natpunch/autonat", core, forCores},
	{"natpunch/dcutr", core, forCores},
	{"natpunch/observed", core, forCores},
	{"protocols/*/*", core, forCores},

	{"transports/internal/contract", tests, []string{"internal/...", "identity", "addrs", "transports/conduit", "actors"}},
	{"transports/internal/...", adapter, []string{"internal/...", "identity", "addrs", "transports/conduit"}},
	{"transports/memory", nearby, forAdapters}, // the one transport of simulated networks
	{"transports/*", adapter, forAdapters},
	{"negotiation/tls", adapter, forAdapters}, // crypto/tls cannot be pure

	// Domains do not import each other: siblings meet through messages and refs that the root
	// hands out. multistream is the exception, because every stream begins with it.
	{"transports", domain, forDomains},
	{"negotiation", domain, forDomains},
	{"mux", domain, forDomains},
	{"peers", domain, forDomains},
	{"peerstore", domain, forDomains},
	{"relay", domain, forDomains},
	{"natpunch", domain, forDomains},
	{"protocols", domain, forDomains},
	{"protocols/*", domain, forDomains},
	{"inspect", domain, forDomains},

	{".", root, []string{"..."}},
	{"cmd/...", program, []string{"..."}},
	{"examples/...", program, []string{"..."}},
	{"testkit/...", tests, []string{"..."}},
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
	value    = layer{name: "value"}
	message  = layer{name: "message"}
	core     = layer{name: "core"}
	leaf     = layer{name: "leaf", waits: true}
	contract = layer{name: "contract", waits: true}
	handle   = layer{name: "handle", waits: true, io: true}
	domain   = layer{name: "domain", waits: true, io: true}
	root     = layer{name: "root", waits: true, io: true}
	kit      = layer{name: "kit", waits: true, io: true, clock: true, spawn: true}
	nearby   = layer{name: "adapter", waits: true, io: true}
	adapter  = layer{name: "adapter", waits: true, io: true, clock: true, live: true}
	program  = layer{name: "program", waits: true, io: true, clock: true, live: true}
	tests    = layer{name: "tests", waits: true, io: true, clock: true, spawn: true, live: true}
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
	for _, p := range loadTree(t).packages {
		if _, ok := rowOf(p.path); !ok {
			t.Errorf("%s: no row in the policy says what it may import", p.path)
		}
	}
}

func TestPackagesImportOnlyWhatThePolicyAllows(t *testing.T) {
	for _, p := range loadTree(t).packages {
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
		case layerOf(ours) == tests.name && r.layer.name != tests.name:
			return "that is for tests, ours and our users'"
		case fitsAny(r.may, ours):
			return ""
		case slices.Contains(r.may, "own") && strings.HasPrefix(ours, pkg+"/") && layerOf(ours) == core.name:
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

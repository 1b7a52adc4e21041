package arch

import (
	"fmt"
	"go/ast"
	"strings"
	"testing"
)

// A guard that has never caught anybody proves nothing: here the policy and the checks of the
// code are shown what they are there to refuse.

func TestThePolicyRefuses(t *testing.T) {
	for _, c := range []struct {
		pkg, imported string
		allowed       bool
	}{
		{"mux/yamux", "time", true},
		{"mux/yamux", "net/netip", true},
		{"mux/yamux", "net", false},
		{"mux/yamux", "os/signal", false},
		{"mux/yamux", "sync", false},
		{"mux/yamux", "sync/atomic", false},
		{"mux/yamux", "context", false},
		{"mux/yamux", "math/rand/v2", false},
		{"mux/yamux", "crypto/rand", false},
		{"mux/yamux", "log/slog", false},
		{"mux/yamux", "go.uber.org/zap", false},
		{"mux/yamux", "github.com/asynkron/protoactor-go/actor", false},
		{"mux/yamux", module + "/internal/buf", true},
		{"mux/yamux", module + "/actors", false},
		{"mux/yamux", module + "/messages", false},
		{"mux/yamux", module + "/messages/wire/noise", true},
		{"negotiation/upgrade", module + "/negotiation/noise", true},
		{"negotiation/noise", module + "/negotiation/multistream", false},
		{"identity", "crypto/rand", false},
		{"identity", module + "/addrs", false},
		{"actors", module + "/identity", false},
		{"actors", "crypto/rand", true},
		{"messages", module + "/mux", false},
		{"transports/tcp", "net", true},
		{"transports/tcp", module + "/actors", true},
		{"transports/tcp", module + "/messages", false},
		{"transports", module + "/transports/tcp", false},
		{"mux", module + "/mux/yamux", true},
		{"mux", module + "/peers", false},
		{"mux", module + "/peers/limits", false},
		{"mux", module + "/negotiation/multistream", true},
		{"mux", "github.com/spf13/cobra", false},
		{"protocols/ping", module + "/protocols/ping/pingcore", true},
		{"protocols/ping", module + "/protocols/identify", false},
		{".", module + "/transports/tcp", true},
		{".", module + "/testkit", false},
		{"cmd/troupe", module, true},
		{"testkit", module, true},
	} {
		r, ok := rowOf(c.pkg)
		if !ok {
			t.Fatalf("%s has no row", c.pkg)
		}
		if why := refuse(r, c.pkg, c.imported); (why == "") != c.allowed {
			t.Errorf("%s importing %s: allowed %v, want %v (%s)", c.pkg, c.imported, why == "", c.allowed, why)
		}
	}
	if _, ok := rowOf("misc"); ok {
		t.Error("a package that nobody planned has a row")
	}
}

func TestTheCodeChecksRefuse(t *testing.T) {
	m := "var m map[int]int; "
	for _, c := range []struct {
		layer   layer
		imports string
		body    string
		want    string // in the one report; none if empty
	}{
		{aCore, "", "go func() {}()", "go statement"},
		{aDomain, "", "go func() {}()", "go statement"},
		{anAdapter, "", "go func() { // owned: nobody\n}()", "go statement"},
		{aKit, "", "go func() {}()", ""},
		{aCore, "", "var c chan int; _ = c", "channel"},
		{aDomain, "", "var c chan int; _ = c", ""},
		{aCore, "", "select {}", "a select"},
		{aCore, "time", "_ = time.Now()", "time.Now"},
		{aDomain, "time", "_ = time.Now()", "time.Now"},
		{aDomain, "time", "f := time.Since; _ = f", "time.Since"},
		{anAdapter, "time", "_ = time.Now()", ""},
		{anAdapter, "time", "time.Sleep(1)", "time.Sleep"},
		{aCore, "time", "_ = time.Unix(0, 0).Add(time.Second)", ""},
		{aCore, "", m + "for range m {}", "iterates a map"},
		{aCore, "", m + "// order-free: counted only\nfor range m {}", ""},
		{aCore, "", m + "for range m {} // order-free: counted only", ""},
		{aCore, "", m + "// order-free:\nfor range m {}", "iterates a map"},
		{anAdapter, "", m + "for range m {}", ""},
		{aCore, "", "type named map[int]int; var n named; for range n {}", "iterates a map"},
		{aCore, "", "for range []int{} {}", ""},
		{aCore, "maps", m + "for range maps.Keys(m) {}", "maps.Keys"},
		{aCore, "maps slices", m + "_ = slices.Sorted(maps.Keys(m))", ""},
		{aCore, "maps slices", m + "_ = slices.Collect(maps.Keys(m))", "maps.Keys"},
		{aDomain, "", "var a, b chan int; select { case <-a: case <-b: }", "several ready cases"},
		{aDomain, "", "var a, b chan int\n// order-free: both stop\nselect { case <-a: case <-b: }", ""},
		{aDomain, "", "var a chan int; select { case <-a: default: }", ""},
		{anAdapter, "sync", "var w sync.WaitGroup; w.Go(func() {})", "WaitGroup"},
		{anAdapter, "context", "context.AfterFunc(context.Background(), func() {})", "context.AfterFunc"},
		{anAdapter, "context", "context.AfterFunc(context.Background(), func() {}) // owned: only closes", ""},
	} {
		got := reports(t, c.layer, c.imports, c.body)
		switch {
		case c.want == "" && len(got) > 0:
			t.Errorf("in a %s, %q: refused: %q", c.layer.name, c.body, got)
		case c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)):
			t.Errorf("in a %s, %q: want one report of %q, got %q", c.layer.name, c.body, c.want, got)
		}
	}
}

// reports checks one function body as if it stood in a package of that layer.
func reports(t *testing.T, l layer, imports, body string) []string {
	t.Helper()
	tr := *load(t)
	src := "package example\n"
	for name := range strings.FieldsSeq(imports) {
		src += fmt.Sprintf("import %q\n", name)
	}
	f, err := tr.parseFile("example.go", []byte(src+"func example() {\n"+body+"\n}\n"))
	if err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	p := &pkg{path: "example", files: []*file{f}}
	if p.check(&tr); p.err != nil {
		t.Fatalf("%q: %v", body, p.err)
	}
	var got []string
	c := checker{tr: &tr, p: p, f: f, may: l, report: func(format string, args ...any) {
		got = append(got, fmt.Sprintf(format, args...))
	}}
	ast.Inspect(f.syntax, c.look)
	return got
}

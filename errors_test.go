package troupe_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"

	troupe "github.com/troupe-p2p/troupe"
)

// fault is what a caller sees of one exported error.
type fault struct {
	err    *troupe.Error
	origin troupe.Origin
	layer  troupe.Layer
	code   string
	retry  bool
	// says is part of the text: what is wrong, and with what.
	says []string
	// provoke does what leads to the error and returns it.
	provoke func(t *testing.T) error
}

// TestEveryErrorIsProvoked walks the exported errors as they stand in the source, so that a new
// one needs a row, and provokes each through the public API.
func TestEveryErrorIsProvoked(t *testing.T) {
	rows := faults()
	declared := declaredErrors(t)
	for name := range rows {
		if !slices.Contains(declared, name) {
			t.Errorf("%s has rows and does not exist", name)
		}
	}
	for _, name := range declared {
		if len(rows[name]) == 0 {
			t.Errorf("%s: no row says how it comes about. What cannot be provoked must not exist", name)
		}
		for i, f := range rows[name] {
			t.Run(fmt.Sprintf("%s/%d", name, i+1), func(t *testing.T) { f.check(t, f.provoke(t)) })
		}
	}
}

func (f fault) check(t *testing.T, err error) {
	t.Helper()
	e := wantError(t, err, f.err)
	if e.Origin != f.origin || e.Layer != f.layer || e.Code != f.code || e.Retryable != f.retry {
		t.Errorf("%s, %s, %s, retryable %v\nwant %s, %s, %s, retryable %v\n%v",
			e.Origin, e.Layer, e.Code, e.Retryable, f.origin, f.layer, f.code, f.retry, err)
	}
	text := err.Error()
	if e.Next == "" || !strings.HasSuffix(text, "; "+e.Next) {
		t.Errorf("%q does not end with what to do next: %q", text, e.Next)
	}
	if e.Op == "" || !strings.HasPrefix(text, "troupe: "+e.Op) {
		t.Errorf("%q does not begin with the call", text)
	}
	for _, want := range append(f.says, f.code, string(f.origin), string(f.layer)) {
		if !strings.Contains(text, want) {
			t.Errorf("%q does not say %q", text, want)
		}
	}
	if strings.Count(text, "troupe: ") > 1 || strings.Contains(text, "\n") {
		t.Errorf("%q says things twice, or in several lines", text)
	}
	var ne net.Error
	if !errors.As(err, &ne) || ne.Timeout() != errors.Is(err, troupe.ErrDeadline) {
		t.Errorf("not the net.Error that it should be: %v", err)
	}
	for other, rows := range faults() {
		if rows[0].err != f.err && errors.Is(err, rows[0].err) {
			t.Errorf("%v is %s too", err, other)
		}
	}
}

// declaredErrors are the names of the exported errors in errors.go, whose code is theirs alone.
func declaredErrors(t *testing.T) (names []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	codes := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Err") {
			return true
		}
		name := spec.Names[0].Name
		names = append(names, name)
		ast.Inspect(spec, func(n ast.Node) bool {
			if kv, ok := n.(*ast.KeyValueExpr); ok && kv.Key.(*ast.Ident).Name == "Code" {
				code := strings.Trim(kv.Value.(*ast.BasicLit).Value, `"`)
				if other := codes[code]; other != "" || !regexp.MustCompile(`^[a-z_]+$`).MatchString(code) {
					t.Errorf("%s: the code %q, which is also that of %q", name, code, other)
				}
				codes[code] = name
			}
			return true
		})
		if len(codes) != len(names) {
			t.Errorf("%s has no code", name)
		}
		return true
	})
	if len(names) < 15 {
		t.Fatalf("only %q are declared in errors.go", names)
	}
	return names
}

package arch

import (
	"go/ast"
	"os"
	"strings"
	"testing"
)

// maxLines caps every file that a person wrote. It is really a cap on the connection object,
// which is the giant in every other project of this kind.
const maxLines = 600

func TestNoFileIsTooLong(t *testing.T) {
	for _, p := range load(t).packages {
		for _, f := range append(p.files, p.tests...) {
			if f.lines > maxLines && !f.generated {
				t.Errorf("%s has %d lines, more than %d: split it by concern, as x_concern.go", f.name, f.lines, maxLines)
			}
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range load(t).packages {
		var documented []string
		builds := false
		for _, f := range p.files {
			builds = builds || f.typed
			if f.syntax.Doc != nil {
				documented = append(documented, f.name)
			}
		}
		if builds && len(documented) != 1 {
			t.Errorf("%s: %d files have a package comment, want one: %q", p.path, len(documented), documented)
		}
	}
}

// TestTestsNeitherSleepNorSkip: a test that sleeps is slow or wrong, and usually both; one that
// is skipped proves nothing and looks as if it did. Virtual time passes by muxtest.Elapse, or in a
// world of the testkit.
func TestTestsNeitherSleepNorSkip(t *testing.T) {
	tr := load(t)
	for _, p := range tr.packages {
		for _, f := range p.tests {
			ast.Inspect(f.syntax, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				sel, ok := call.Fun.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				x, ok := sel.X.(*ast.Ident)
				if !ok {
					return true
				}
				switch name := x.Name + "." + sel.Sel.Name; {
				case name == "time.Sleep":
					t.Errorf("%s: sleeps; wait for what is meant, or use virtual time", tr.fset.Position(n.Pos()))
				case sel.Sel.Name == "Skip", sel.Sel.Name == "Skipf", sel.Sel.Name == "SkipNow":
					t.Errorf("%s: skips; make it run or remove it", tr.fset.Position(n.Pos()))
				}
				return true
			})
		}
	}
}

// TestModuleFileIsForUsers: a replace directive works here and nowhere else.
func TestModuleFileIsForUsers(t *testing.T) {
	mod := content(t, "go.mod")
	for line := range strings.Lines(mod) {
		if word, _, _ := strings.Cut(strings.TrimSpace(line), " "); word == "replace" || word == "exclude" {
			t.Errorf("go.mod: %q is not seen by those who import this module", strings.TrimSpace(line))
		}
	}
}

func TestLicencesAreThere(t *testing.T) {
	for name, words := range map[string]string{
		"LICENSE":        "MIT OR Apache-2.0",
		"LICENSE-MIT":    "Permission is hereby granted, free of charge",
		"LICENSE-APACHE": "Apache License",
	} {
		if !strings.Contains(content(t, name), words) {
			t.Errorf("%s does not contain %q", name, words)
		}
	}
}

func content(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

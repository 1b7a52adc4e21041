package arch

import (
	"go/ast"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A package that has bounds is in the registry: the source is asked, so that none is forgotten.
func TestBoundRegistryHasEveryPackage(t *testing.T) {
	tr := load(t)
	listed := map[string]bool{}
	for _, p := range tr.packages {
		if p.path != "." {
			continue
		}
		for _, f := range slices.Concat(p.files, p.tests) {
			if f.name == "bounds.go" || f.name == "bounds_test.go" {
				maps.Copy(listed, boundedPackages(f.syntax))
			}
		}
	}
	for _, p := range tr.packages {
		has := false
		for _, f := range p.files {
			for _, d := range f.syntax.Decls {
				fn, ok := d.(*ast.FuncDecl)
				has = has || ok && fn.Recv == nil && fn.Name.Name == "Bounds"
			}
		}
		if has && p.path != "." && !listed[p.path] {
			t.Errorf("%s has bounds that the registry does not know: add it to bounds.go", p.path)
		}
		if !has && listed[p.path] {
			t.Errorf("%s is in the registry and has no bounds", p.path)
		}
	}
	if len(listed) < 20 {
		t.Errorf("only %d packages are in the registry", len(listed))
	}
}

// boundedPackages are the packages whose Bounds a file names, by their path in the module.
func boundedPackages(f *ast.File) map[string]bool {
	byName := map[string]string{}
	for _, i := range f.Imports {
		if full, err := strconv.Unquote(i.Path.Value); err == nil {
			if ours, ok := strings.CutPrefix(full, module+"/"); ok {
				byName[path.Base(ours)] = ours
			}
		}
	}
	out := map[string]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Bounds" {
			if x, ok := s.X.(*ast.Ident); ok {
				out[byName[x.Name]] = true
			}
		}
		return true
	})
	return out
}

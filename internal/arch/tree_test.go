package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// module is the path that every import of ours begins with.
const module = "github.com/troupe-p2p/troupe"

// tree is this module's source: parsed whole, and with types where this platform builds it.
type tree struct {
	fset     *token.FileSet
	packages []*pkg
	imports  types.Importer
}

type pkg struct {
	path  string // below the module, "." for its root
	files []*file
	tests []*file
	info  *types.Info // of the files that this platform builds, without tests
	err   error       // why the types are not all known
}

type file struct {
	name      string // below the module's folder
	lines     int
	generated bool
	typed     bool
	syntax    *ast.File
	comments  map[int]string // the text of the comments that end on a line
}

var readOnce = sync.OnceValues(parse)

func load(t *testing.T) *tree {
	t.Helper()
	tr, err := readOnce()
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// goListed is what `go list` tells about a package.
type goListed struct {
	ImportPath, Dir, Export       string
	GoFiles, IgnoredGoFiles       []string
	TestGoFiles, XTestGoFiles     []string
	Module                        *struct{ Path string }
	Error                         *struct{ Err string }
	CgoFiles, IgnoredOtherFiles   []string
	Standard, DepOnly, Incomplete bool
}

// parse asks the go command for the packages and for the export data of everything that
// they import, so that types are known without another module's help.
func parse() (*tree, error) {
	// The standard packages are those that the examples of self_test.go need.
	cmd := exec.Command("go", "list", "-e", "-export", "-deps", "-json", "./...", "context", "maps", "slices", "sync", "time")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, errors.New("go list: " + err.Error() + "\n" + stderr.String())
	}
	tr := &tree{fset: token.NewFileSet()}
	exports := map[string]string{}
	var ours []goListed
	dec := json.NewDecoder(bytes.NewReader(out))
	for {
		var l goListed
		if err := dec.Decode(&l); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		exports[l.ImportPath] = l.Export
		if !l.DepOnly && l.Module != nil && l.Module.Path == module {
			ours = append(ours, l)
		}
	}
	tr.imports = importer.ForCompiler(tr.fset, "gc", func(path string) (io.ReadCloser, error) {
		if exports[path] == "" {
			return nil, errors.New("no export data for " + path + ": does it build?")
		}
		return os.Open(exports[path])
	})
	for _, l := range ours {
		p, err := tr.parse(l)
		if err != nil {
			return nil, err
		}
		tr.packages = append(tr.packages, p)
	}
	return tr, nil
}

func (tr *tree) parse(l goListed) (*pkg, error) {
	p := &pkg{path: strings.TrimPrefix(strings.TrimPrefix(l.ImportPath, module), "/")}
	if p.path == "" {
		p.path = "."
	}
	read := func(names []string, typed bool) ([]*file, error) {
		var files []*file
		for _, name := range names {
			f, err := tr.read(filepath.Join(p.path, name))
			if err != nil {
				return nil, err
			}
			f.typed = typed
			files = append(files, f)
		}
		return files, nil
	}
	var err error
	if p.files, err = read(l.GoFiles, true); err != nil {
		return nil, err
	}
	p.check(tr)
	var ignored []string // files for other platforms; ignored tests come with them
	var tests []string
	for _, name := range l.IgnoredGoFiles {
		if strings.HasSuffix(name, "_test.go") {
			tests = append(tests, name)
		} else {
			ignored = append(ignored, name)
		}
	}
	others, err := read(ignored, false)
	if err != nil {
		return nil, err
	}
	p.files = append(p.files, others...)
	p.tests, err = read(append(append(tests, l.TestGoFiles...), l.XTestGoFiles...), false)
	return p, err
}

// check finds the types of a package's files.
func (p *pkg) check(tr *tree) {
	p.info = &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}}
	var syntax []*ast.File
	for _, f := range p.files {
		syntax = append(syntax, f.syntax)
	}
	if len(syntax) > 0 {
		cfg := types.Config{Importer: tr.imports, Sizes: types.SizesFor("gc", build.Default.GOARCH), Error: func(error) {}}
		_, p.err = cfg.Check(path.Join(module, p.path), tr.fset, syntax, p.info)
	}
}

func (tr *tree) read(name string) (*file, error) {
	src, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return tr.parseFile(name, src)
}

func (tr *tree) parseFile(name string, src []byte) (*file, error) {
	syntax, err := parser.ParseFile(tr.fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	f := &file{
		name: name, syntax: syntax, lines: bytes.Count(src, []byte("\n")),
		generated: ast.IsGenerated(syntax), comments: map[int]string{},
	}
	for _, group := range syntax.Comments {
		f.comments[tr.fset.Position(group.End()).Line] += group.Text()
	}
	return f, nil
}

func (f *file) imports() []string {
	var out []string
	for _, spec := range f.syntax.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			out = append(out, p)
		}
	}
	return out
}

// says tells whether a comment on the line of n, or on the line before it, begins with word.
func (f *file) says(tr *tree, n ast.Node, word string) bool {
	line := tr.fset.Position(n.Pos()).Line
	for _, text := range []string{f.comments[line], f.comments[line-1]} {
		for l := range strings.Lines(text) {
			if rest, ok := strings.CutPrefix(l, word); ok && strings.TrimSpace(rest) != "" {
				return true
			}
		}
	}
	return false
}

package troupe_test

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

// archModule is the path that every import of ours begins with.
const archModule = "github.com/troupe-p2p/troupe"

// archTree is this module's source: parsed whole, and with types where this platform builds it.
type archTree struct {
	fset     *token.FileSet
	packages []*archPkg
	imports  types.Importer
}

type archPkg struct {
	path  string // below the module, "." for its root
	files []*archFile
	tests []*archFile
	info  *types.Info // of the files that this platform builds, without tests
	err   error       // why the types are not all known
}

type archFile struct {
	name      string // below the module's folder
	lines     int
	generated bool
	typed     bool
	syntax    *ast.File
	comments  map[int]string // the text of the comments that end on a line
}

var archRead = sync.OnceValues(archParse)

func archLoad(t *testing.T) *archTree {
	t.Helper()
	tr, err := archRead()
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

// archParse asks the go command for the packages and for the export data of everything that
// they import, so that types are known without another module's help.
func archParse() (*archTree, error) {
	// The standard packages are those that the examples of arch_self_test.go need.
	cmd := exec.Command("go", "list", "-e", "-export", "-deps", "-json", "./...", "context", "maps", "slices", "sync", "time")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, errors.New("go list: " + err.Error() + "\n" + stderr.String())
	}
	tr := &archTree{fset: token.NewFileSet()}
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
		if !l.DepOnly && l.Module != nil && l.Module.Path == archModule {
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

func (tr *archTree) parse(l goListed) (*archPkg, error) {
	p := &archPkg{path: strings.TrimPrefix(strings.TrimPrefix(l.ImportPath, archModule), "/")}
	if p.path == "" {
		p.path = "."
	}
	read := func(names []string, typed bool) ([]*archFile, error) {
		var files []*archFile
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
func (p *archPkg) check(tr *archTree) {
	p.info = &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}}
	var syntax []*ast.File
	for _, f := range p.files {
		syntax = append(syntax, f.syntax)
	}
	if len(syntax) > 0 {
		cfg := types.Config{Importer: tr.imports, Sizes: types.SizesFor("gc", build.Default.GOARCH), Error: func(error) {}}
		_, p.err = cfg.Check(path.Join(archModule, p.path), tr.fset, syntax, p.info)
	}
}

func (tr *archTree) read(name string) (*archFile, error) {
	src, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return tr.parseFile(name, src)
}

func (tr *archTree) parseFile(name string, src []byte) (*archFile, error) {
	syntax, err := parser.ParseFile(tr.fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	f := &archFile{
		name: name, syntax: syntax, lines: bytes.Count(src, []byte("\n")),
		generated: ast.IsGenerated(syntax), comments: map[int]string{},
	}
	for _, group := range syntax.Comments {
		f.comments[tr.fset.Position(group.End()).Line] += group.Text()
	}
	return f, nil
}

func (f *archFile) imports() []string {
	var out []string
	for _, spec := range f.syntax.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			out = append(out, p)
		}
	}
	return out
}

// says tells whether a comment on the line of n, or on the line before it, begins with word.
func (f *archFile) says(tr *archTree, n ast.Node, word string) bool {
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

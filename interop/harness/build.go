package harness

import (
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Main runs the tests of a package, removes what was built for them and returns the exit code.
func Main(m *testing.M) int {
	dir, err := os.MkdirTemp("", "troupe-interop-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binDir = dir
	return m.Run()
}

var binDir string

// moduleDir is the folder of the interop module, found from the folder a test runs in.
var moduleDir = sync.OnceValues(func() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; filepath.Dir(dir) != dir; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "gopeer")); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("not inside the interop module")
})

// build compiles one command, of the interop module or (troupe) of the one above it, which is
// built with its own go.mod, as users build it.
func build(name string) (string, error) {
	dir, err := moduleDir()
	if err != nil {
		return "", err
	}
	target := "./" + name
	if name == "troupe" {
		// A binary from elsewhere, such as a release, can be put to the same tests.
		if path := os.Getenv("INTEROP_TROUPE"); path != "" {
			return filepath.Abs(path)
		}
		dir, target = filepath.Dir(dir), "./cmd/troupe"
	}
	name = filepath.Base(name)
	out := filepath.Join(binDir, name)
	args := []string{"build", "-o", out}
	// The race detector needs a C compiler, so it is asked for and never assumed.
	if os.Getenv("INTEROP_RACE") != "" && strings.HasPrefix(name, "troupe") {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, target)...)
	cmd.Dir = dir
	if msg, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w\n%s", target, err, msg)
	}
	return out, nil
}

var builds = map[string]func() (string, error){
	"contract/goping":     sync.OnceValues(func() (string, error) { return build("contract/goping") }),
	"contract/troupeping": sync.OnceValues(func() (string, error) { return build("contract/troupeping") }),
	"gopeer":              sync.OnceValues(func() (string, error) { return build("gopeer") }),
	"hostile":             sync.OnceValues(func() (string, error) { return build("hostile") }),
	"troupe":              sync.OnceValues(func() (string, error) { return build("troupe") }),
	"troupepeer":          sync.OnceValues(func() (string, error) { return build("troupepeer") }),
}

// binary returns the path of a built command or fails the test.
func binary(tb testing.TB, name string) string {
	tb.Helper()
	if binDir == "" {
		tb.Fatal("TestMain must call harness.Main")
	}
	path, err := builds[name]()
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

// nodeJS finds a Node that js-libp2p can run on: the one that npm brought, or one in the path.
var nodeJS = sync.OnceValues(func() (string, error) {
	dir, err := moduleDir()
	if err != nil {
		return "", err
	}
	js := filepath.Join(dir, "jspeer")
	if _, err := os.Stat(filepath.Join(js, "node_modules", "libp2p")); err != nil {
		return "", errors.New("js-libp2p is not installed: run make interop-deps")
	}
	arch := map[string]string{"amd64": "x64"}[runtime.GOARCH]
	if arch == "" {
		arch = runtime.GOARCH
	}
	own := filepath.Join(js, "node_modules", "node-"+runtime.GOOS+"-"+arch, "bin", "node")
	if _, err := os.Stat(own); err == nil {
		return own, nil
	}
	path, err := exec.LookPath("node")
	if err != nil {
		return "", errors.New("no node: neither npm's nor one in the path")
	}
	const oldest = 22
	version, err := exec.Command(path, "--version").Output()
	if err != nil {
		return "", err
	}
	major, _, _ := strings.Cut(strings.TrimPrefix(string(version), "v"), ".")
	if n, err := strconv.Atoi(major); err != nil || n < oldest {
		return "", fmt.Errorf("%s is version %s, js-libp2p needs %d", path, strings.TrimSpace(string(version)), oldest)
	}
	return path, nil
})

// GoLibp2pVersion is what its peer is made of.
func GoLibp2pVersion(tb testing.TB) string {
	tb.Helper()
	info, err := buildinfo.ReadFile(binary(tb, "contract/goping"))
	if err != nil {
		tb.Fatal(err)
	}
	for _, d := range info.Deps {
		if d.Path == "github.com/libp2p/go-libp2p" {
			return d.Version
		}
	}
	tb.Fatal("no go-libp2p in its peer")
	return ""
}

// NodeVersion is that of the Node which js-libp2p runs on.
func NodeVersion(tb testing.TB) string {
	tb.Helper()
	path, err := nodeJS()
	if err != nil {
		tb.Fatal(err)
	}
	version, err := exec.Command(path, "--version").Output()
	if err != nil {
		tb.Fatal(err)
	}
	return strings.TrimSpace(string(version))
}

// JSVersion is that of an installed package.
func JSVersion(tb testing.TB, name string) string {
	tb.Helper()
	return installed(tb, "jspeer", name)
}

// installed is the version of a package in one of our folders for npm.
func installed(tb testing.TB, folder, name string) string {
	tb.Helper()
	dir, err := moduleDir()
	if err != nil {
		tb.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, folder, "node_modules", filepath.FromSlash(name), "package.json"))
	if err != nil {
		tb.Fatal(err)
	}
	var about struct{ Version string }
	if err := json.Unmarshal(b, &about); err != nil {
		tb.Fatal(err)
	}
	return about.Version
}

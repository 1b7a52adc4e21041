package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

// TestMain removes the program that the tests have built.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "troupe-cli-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binDir = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

var binDir string

// build compiles the program once, raced when the tests are.
var build = sync.OnceValues(func() (string, error) {
	path := filepath.Join(binDir, "troupe")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	args := []string{"build", "-o", path}
	if raced {
		args = append(args, "-race")
	}
	if msg, err := exec.Command("go", append(args, ".")...).CombinedOutput(); err != nil {
		return "", errors.New("go build: " + err.Error() + "\n" + string(msg))
	}
	return path, nil
})

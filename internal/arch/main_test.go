package arch

import (
	"os"
	"testing"
)

// TestMain runs the tests where the module is, so that files have the names that everybody uses.
func TestMain(m *testing.M) {
	if err := os.Chdir("../.."); err != nil {
		panic(err)
	}
	m.Run()
}

package contract

import (
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

// TestDockerfileKeepsUpWithTheModule: what it names is there, and its Go is the module's.
func TestDockerfileKeepsUpWithTheModule(t *testing.T) {
	read := func(name string) string {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	docker, mod := read("Dockerfile"), read("../go.mod")
	wants := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(mod)
	has := regexp.MustCompile(`(?m)^FROM golang:(\d+\.\d+)-alpine AS build$`).FindStringSubmatch(docker)
	if wants == nil || has == nil || wants[1] != has[1] {
		t.Errorf("built with Go %q, the module wants %q", has, wants)
	}
	built := regexp.MustCompile(`(?m)^RUN .* go build .* -o (\S+) (\S+)$`).FindStringSubmatch(docker)
	if built == nil {
		t.Fatal("builds nothing")
	}
	if _, err := os.Stat(path.Join("..", built[2], "main.go")); err != nil {
		t.Errorf("builds %s: %v", built[2], err)
	}
	for _, line := range []string{"COPY --from=build " + built[1] + " " + built[1], `ENTRYPOINT ["` + built[1] + `"]`} {
		if !strings.Contains(docker, line+"\n") {
			t.Errorf("has no line %q", line)
		}
	}
}

package troupe_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// ciMachine is a machine that has nothing but what it is given: every tool is a link to a real one
// or a script that notes its call.
type ciMachine struct {
	t    *testing.T
	bin  string
	home string
}

func newCIMachine(t *testing.T) *ciMachine {
	t.Helper()
	m := &ciMachine{t, t.TempDir(), t.TempDir()}
	for _, tool := range []string{"bash", "dirname", "sed", "sort", "head", "tr", "env", "true", "cat", "chmod"} {
		at, err := exec.LookPath(tool)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(at, filepath.Join(m.bin, tool)); err != nil {
			t.Fatal(err)
		}
	}
	m.script("go", `[ "$2" = CC ] && echo cc || echo go9.99`)
	m.script("sudo", `shift; exec "$@"`) // its only flag is -n
	return m
}

func (m *ciMachine) script(name, body string) {
	m.t.Helper()
	text := "#!" + filepath.Join(m.bin, "bash") + "\necho \"" + name + " $*\" >>\"$HOME/calls\"\n" + body + "\n"
	if err := os.WriteFile(filepath.Join(m.bin, name), []byte(text), 0o755); err != nil { //nolint:gosec // to be run
		m.t.Fatal(err)
	}
}

// run runs CI and returns what it said and which calls it made.
func (m *ciMachine) run() (out, calls string, err error) {
	m.t.Helper()
	cmd := exec.CommandContext(m.t.Context(), filepath.Join(m.bin, "bash"), ".ci/run")
	cmd.Env = []string{"PATH=" + m.bin, "HOME=" + m.home}
	b, err := cmd.CombinedOutput()
	noted, _ := os.ReadFile(filepath.Join(m.home, "calls"))
	return string(b), string(noted), err
}

const ciSteps = "make check\nmake test\nmake race\nmake smoke\n"

func TestCIInstallsWhatABareMachineLacks(t *testing.T) {
	m := newCIMachine(t)
	m.script("apt-get", `case "$*" in *install*) ;; *) exit 0 ;; esac
for p in "$@"; do
	case "$p" in make|git|npm) t=$p ;; gcc) t=cc ;; *) continue ;; esac
	printf '#!%s\necho "%s $*" >>"$HOME/calls"\ncat >/dev/null </dev/null\n' "${0%/*}/bash" "$t" >"${0%/*}/$t"
	chmod +x "${0%/*}/$t"
done`)
	out, calls, err := m.run()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, calls)
	}
	if !strings.Contains(calls, "apt-get -qy --no-install-recommends install make git npm ca-certificates gcc libc6-dev") {
		t.Errorf("calls:\n%s", calls)
	}
	if made := callsOf(calls, "make"); made != ciSteps {
		t.Errorf("then it made %q", made)
	}
}

func TestCIInstallsNothingThatIsThere(t *testing.T) {
	m := newCIMachine(t)
	for _, tool := range []string{"make", "git", "npm", "cc", "apt-get"} {
		m.script(tool, "")
	}
	out, calls, err := m.run()
	if err != nil || callsOf(calls, "apt-get") != "" || callsOf(calls, "make") != ciSteps {
		t.Errorf("%v\n%s\n%s", err, out, calls)
	}
}

func TestCISaysWhatIsMissingIfItCannotInstall(t *testing.T) {
	for name, aptGet := range map[string]string{"without apt-get": "", "with one that fails": "exit 100"} {
		m := newCIMachine(t)
		for _, tool := range []string{"git", "cc"} {
			m.script(tool, "")
		}
		if aptGet != "" {
			m.script("apt-get", aptGet)
		}
		out, calls, err := m.run()
		if err == nil || callsOf(calls, "make") != "" || !strings.Contains(out, "CI lacks make npm ca-certificates and cannot install it here") {
			t.Errorf("%s: %v\n%s\n%s", name, err, out, calls)
		}
	}
	bare := newCIMachine(t)
	if err := os.Remove(filepath.Join(bare.bin, "go")); err != nil {
		t.Fatal(err)
	}
	if out, _, err := bare.run(); err == nil || !strings.Contains(out, "CI needs Go") {
		t.Errorf("without Go: %v\n%s", err, out)
	}
}

func callsOf(calls, tool string) (out string) {
	for l := range strings.Lines(calls) {
		if strings.HasPrefix(l, tool+" ") {
			out += l
		}
	}
	return out
}

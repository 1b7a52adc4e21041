package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/negotiation/pnet"
)

// sealed tells whether files have permissions here that mean something.
const sealed = runtime.GOOS != "windows"

func newTestKey(t *testing.T) identity.PrivateKey {
	t.Helper()
	k, err := identity.GenerateKey(identity.Ed25519, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func contents(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// only fails if a folder holds more than these, such as a temporary file.
func only(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("%s holds %q, want %q", dir, got, want)
	}
}

func TestIdentityIsMadeOnceForTheUserAlone(t *testing.T) {
	atHome(t)
	path, err := defaultIdentity()
	if err != nil {
		t.Fatal(err)
	}
	var notes bytes.Buffer
	k, at, err := ensureKey("", &notes)
	if err != nil || at != path || !strings.Contains(notes.String(), path) {
		t.Fatalf("made %s, %v, saying %q", at, err, notes.String())
	}
	if filepath.Base(filepath.Dir(path)) != "troupe" || filepath.Base(path) != "key" {
		t.Errorf("the default is %s", path)
	}
	if b := contents(t, path); !bytes.Equal(b, identity.MarshalPrivateKey(k)) || k.Type() != identity.Ed25519 {
		t.Errorf("the file is not the protobuf form of the key that is used")
	}
	file, err1 := os.Stat(path)
	dir, err2 := os.Stat(filepath.Dir(path))
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if sealed && (file.Mode() != 0o600 || dir.Mode().Perm() != 0o700) {
		t.Errorf("file %v, folder %v", file.Mode(), dir.Mode())
	}
	only(t, filepath.Dir(path), "key")
	notes.Reset()
	again, _, err := ensureKey("", &notes)
	if err != nil || !again.Public().Equal(k.Public()) || notes.Len() != 0 {
		t.Errorf("the second time: %v, saying %q", err, notes.String())
	}
}

func TestManyWhoMakeTheIdentityAtOnceAgree(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "below", "key")
	keys := make([]identity.PrivateKey, 16)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			var err error
			if keys[i], _, err = ensureKey(path, io.Discard); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, k := range keys {
		if k == nil || !k.Public().Equal(keys[0].Public()) {
			t.Fatal("two of them hold different keys")
		}
	}
	only(t, filepath.Dir(path), "key")
}

func TestCreateKeyReplacesNothing(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	link := filepath.Join(dir, "link")
	folder := filepath.Join(dir, "folder")
	if err := errors.Join(
		os.WriteFile(file, []byte("precious"), 0o600), os.Symlink(filepath.Join(dir, "nowhere"), link), os.Mkdir(folder, 0o700),
	); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, link, folder} {
		if err := createKey(path, newTestKey(t)); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if got := contents(t, file); string(got) != "precious" {
		t.Errorf("the file now holds %q", got)
	}
	only(t, dir, "file", "folder", "link")
	if err := writeNew(file, []byte("x")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("without links: %v", err)
	}
}

func TestBadIdentityFilesAreNamedAndLeftAlone(t *testing.T) {
	good := identity.MarshalPrivateKey(newTestKey(t))
	for _, c := range []struct {
		why, want string
		file      []byte
		mode      fs.FileMode
	}{
		{"empty", "it is empty", nil, 0o600},
		{"not a key", "private key: ", []byte("hello, world"), 0o600},
		{"cut off", "private key: key data announces 64 bytes and has 63", good[:len(good)-1], 0o600},
		{"with a newline at the end", "private key: key data announces 64 bytes and has 65", append(good[:len(good):len(good)], '\n'), 0o600},
		{"PEM", "it is PEM", []byte("-----BEGIN PRIVATE KEY-----\n"), 0o600},
		{"endless", "more than 16384 bytes", make([]byte, maxKeyFile+1), 0o600},
		{"of a type nobody knows", "unsupported", []byte{8, 9, 18, 1, 0}, 0o600},
		{"writable by the group", "others may write it (mode 0660)", good, 0o660},
		{"writable by everybody", "others may write it (mode 0602)", good, 0o602},
	} {
		if !sealed && c.mode != 0o600 {
			continue
		}
		dir := t.TempDir()
		path := filepath.Join(dir, "key")
		if err := errors.Join(os.WriteFile(path, c.file, 0o600), os.Chmod(path, c.mode)); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"up", "--identity", path}, {"id", "--identity", path}} {
			code, out, errs := call(args...)
			if code != exitFailed || out != "" || strings.Count(errs, "\n") != 1 {
				t.Errorf("%s: exit %d, stdout %q, stderr %q", c.why, code, out, errs)
			}
			if want := "troupe " + args[0] + ": local: identity file " + path + ": "; !strings.HasPrefix(errs, want) || !strings.Contains(errs, c.want) {
				t.Errorf("%s: %q, want %q and %q", c.why, errs, want, c.want)
			}
			if strings.Contains(errs, "hello") {
				t.Errorf("%s: it shows what is in the file: %q", c.why, errs)
			}
		}
		if !bytes.Equal(contents(t, path), c.file) {
			t.Errorf("%s: the file was changed", c.why)
		}
		only(t, dir, "key")
	}
}

func TestIdentityFileThatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	code, _, errs := call("id", "--identity", dir)
	if code != exitFailed || !strings.Contains(errs, "not a regular file") {
		t.Errorf("a folder: exit %d, %q", code, errs)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "nowhere"), link); err != nil {
		t.Fatal(err)
	}
	code, _, errs = call("id", "--identity", link)
	if code != exitFailed || strings.Count(errs, "\n") != 1 {
		t.Errorf("a link to nowhere: exit %d, %q", code, errs)
	}
	only(t, dir, "link")
}

func TestIdentityFileThatOthersMayReadEarnsAWarning(t *testing.T) {
	if !sealed {
		return
	}
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, identity.MarshalPrivateKey(newTestKey(t)), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	code, out, errs := call("id", "--identity", path)
	if code != exitDone || out == "" || !strings.Contains(errs, "warning: others may read identity file "+path+" (mode 0644)") {
		t.Errorf("exit %d, stderr %q", code, errs)
	}
}

func TestKeyNewMakesAllFourTypes(t *testing.T) {
	dir := t.TempDir()
	for name, want := range map[string]identity.KeyType{
		"ed25519": identity.Ed25519, "secp256k1": identity.Secp256k1, "ecdsa": identity.ECDSA, "rsa": identity.RSA,
	} {
		path := filepath.Join(dir, name)
		code, out, errs := call("key", "new", "--type", name, "--json", path)
		var l keyLine
		if err := json.Unmarshal([]byte(out), &l); err != nil || code != exitDone {
			t.Fatalf("%s: exit %d, %v, %q", name, code, err, errs)
		}
		k, err := readKey(path, io.Discard)
		if err != nil || k.Type() != want {
			t.Fatalf("%s: %v", name, err)
		}
		id, _ := identity.IDFromKey(k.Public())
		if l.Peer != id.String() || l.CID != id.CID() || l.Type != name || l.File != path {
			t.Errorf("%s: it says %+v", name, l)
		}
		before := contents(t, path)
		code, out, errs = call("key", "new", "--type", name, path)
		if code != exitFailed || out != "" || errs != "troupe key new: local: "+path+" exists and stays as it is\n" {
			t.Errorf("%s again: exit %d, %q", name, code, errs)
		}
		if !bytes.Equal(before, contents(t, path)) {
			t.Errorf("%s: the second has replaced the first", name)
		}
		_, shown, _ := call("id", "--identity", path, "--json")
		var m keyLine
		if err := json.Unmarshal([]byte(shown), &m); err != nil || m != l {
			t.Errorf("%s: id says %q, want the same as key new", name, shown)
		}
	}
}

func TestKeyPSKMakesAKeyOfItsOwnForTheUserAlone(t *testing.T) {
	dir := t.TempDir()
	seen := map[string]bool{}
	for _, name := range []string{"one", "two"} {
		path := filepath.Join(dir, name)
		code, out, errs := call("key", "psk", "--json", path)
		var l pskLine
		if err := json.Unmarshal([]byte(out), &l); err != nil || code != exitDone {
			t.Fatalf("exit %d, %v, %q", code, err, errs)
		}
		k, err := pnet.ParseKey(contents(t, path))
		if err != nil || k.String() != l.Fingerprint || l.File != path || seen[l.Fingerprint] {
			t.Errorf("it says %+v: %v", l, err)
		}
		seen[l.Fingerprint] = true
		if i, err := os.Stat(path); err != nil || i.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
			t.Errorf("mode %v, %v", i.Mode(), err)
		}
		code, out, errs = call("key", "psk", path)
		if code != exitFailed || out != "" || errs != "troupe key psk: local: "+path+" exists and stays as it is\n" {
			t.Errorf("again: exit %d, %q", code, errs)
		}
	}
	only(t, dir, "one", "two")
}

func TestIDForPeople(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := createKey(path, newTestKey(t)); err != nil {
		t.Fatal(err)
	}
	code, out, errs := call("id", "--identity", path)
	for _, want := range []string{"peer  12D3KooW", "cid   bafz", "type  ed25519\n", "file  " + path + "\n"} {
		if code != exitDone || errs != "" || !strings.Contains(out, want) {
			t.Errorf("exit %d, %q lacks %q", code, out, want)
		}
	}
}

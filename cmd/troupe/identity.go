package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/troupe-p2p/troupe/identity"
)

// maxKeyFile is above the longest key, RSA with 8192 bits.
const maxKeyFile = 16 << 10

// defaultIdentity is where the identity of this user is kept.
func defaultIdentity() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("local: no place for the identity: %w; name one with --identity", err)
	}
	return filepath.Join(dir, "troupe", "key"), nil
}

// ensureKey reads an identity file, and makes one with an Ed25519 key when there is none. path ""
// is the default. What a person should know of the file is written to notes.
func ensureKey(path string, notes io.Writer) (identity.PrivateKey, string, error) {
	if path == "" {
		var err error
		if path, err = defaultIdentity(); err != nil {
			return nil, "", err
		}
	}
	k, err := readKey(path, notes)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, path, err
	}
	if k, err = identity.GenerateKey(identity.Ed25519, rand.Reader); err != nil {
		return nil, path, err
	}
	switch err := createKey(path, k); {
	case errors.Is(err, fs.ErrExist): // somebody else has just made it
		k, err := readKey(path, notes)
		return k, path, err
	case err != nil:
		return nil, path, err
	}
	_, _ = fmt.Fprintf(notes, "troupe: made a new identity, %s\n", path)
	return k, path, nil
}

// readKey reads an identity file: a private key in libp2p's protobuf form. A file that others may
// write is refused, since the key in it may be theirs; one that others may read earns a warning.
func readKey(path string, notes io.Writer) (identity.PrivateKey, error) {
	fault := func(err error) error { return fmt.Errorf("local: identity file %s: %w", path, err) }
	// Asked before it is opened: to open a pipe waits for its other end.
	if info, err := os.Stat(path); err != nil {
		return nil, fault(reason(err))
	} else if !info.Mode().IsRegular() {
		return nil, fault(errors.New("not a regular file"))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fault(reason(err))
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, fault(reason(err))
	}
	b, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	switch {
	case err != nil:
		return nil, fault(reason(err))
	case len(b) == 0:
		return nil, fault(errors.New("it is empty"))
	case len(b) > maxKeyFile:
		return nil, fault(fmt.Errorf("more than %d bytes, no key is that long", maxKeyFile))
	case bytes.HasPrefix(b, []byte("-----BEGIN")):
		return nil, fault(errors.New("it is PEM, wanted is libp2p's protobuf form of a private key"))
	}
	k, err := identity.UnmarshalPrivateKey(b)
	if err != nil {
		return nil, fault(err)
	}
	// Windows keeps its permissions elsewhere.
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" {
		if mode&0o022 != 0 {
			return nil, fault(fmt.Errorf("others may write it (mode %#o): chmod 600 it if the key is yours", mode))
		}
		if mode&0o044 != 0 {
			_, _ = fmt.Fprintf(notes, "troupe: warning: others may read identity file %s (mode %#o): chmod 600 it\n", path, mode)
		}
	}
	return k, nil
}

// createKey writes an identity file that does not exist yet.
func createKey(path string, k identity.PrivateKey) error {
	return createSecret("identity file", path, identity.MarshalPrivateKey(k))
}

// createSecret writes a file that does not exist yet, whole or not at all: another program that looks at
// the same time sees either nothing or all of it, and of two that write one gets fs.ErrExist. It is for
// the user alone, as are folders that are missing.
func createSecret(what, path string, content []byte) error {
	fault := func(err error) error { return fmt.Errorf("local: %s %s: %w", what, path, reason(err)) }
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fault(err)
	}
	tmp, err := os.CreateTemp(dir, ".key-*") // with mode 0600
	if err != nil {
		return fault(err)
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = tmp.Write(content)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err != nil {
		return fault(err)
	}
	// A link, unlike a rename, never replaces anything.
	if err := os.Link(tmp.Name(), path); errors.Is(err, fs.ErrExist) {
		return fault(err)
	} else if err != nil {
		// Some file systems have no links. This may leave a part of a key after a crash,
		// and still replaces nothing.
		if err := writeNew(path, content); err != nil {
			return fault(err)
		}
	}
	return syncDir(dir)
}

func writeNew(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

// syncDir makes a new name in a folder last. Not every system can; the file is there all the same.
func syncDir(dir string) error {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
	return nil
}

// reason is an error without the path, which the message around it has.
func reason(err error) error {
	var p *fs.PathError
	var l *os.LinkError
	switch {
	case errors.As(err, &p):
		return p.Err
	case errors.As(err, &l):
		return l.Err
	}
	return err
}

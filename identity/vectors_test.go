package identity

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

// vector is one block of a file in testdata: "name value" lines up to an empty line.
type vector map[string]string

func (v vector) hex(t testing.TB, field string) []byte {
	t.Helper()
	b, err := hex.DecodeString(v[field])
	if err != nil || len(b) == 0 {
		t.Fatalf("%s: field %q is not hex: %v", v["name"], field, err)
	}
	return b
}

func (v vector) private(t testing.TB) PrivateKey {
	t.Helper()
	k, err := UnmarshalPrivateKey(v.hex(t, "private"))
	if err != nil {
		t.Fatalf("%s: %v", v["name"], err)
	}
	return k
}

func vectors(t testing.TB, files ...string) []vector {
	t.Helper()
	var all []vector
	for _, file := range files {
		b, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		var current vector
		lines := bufio.NewScanner(bytes.NewReader(b))
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			field, value, ok := strings.Cut(lines.Text(), " ")
			if field == "#" || !ok {
				continue
			}
			if field == "name" {
				current = vector{}
				all = append(all, current)
			}
			current[field] = value
		}
		if lines.Err() != nil {
			t.Fatal(lines.Err())
		}
	}
	if len(all) < 3 {
		t.Fatalf("only %d vectors in %v", len(all), files)
	}
	return all
}

// foreign are the vectors of the other implementations.
func foreign(t testing.TB) []vector { return vectors(t, "golibp2p.txt", "jslibp2p.txt") }

// seeded is a deterministic source of bytes.
type seeded byte

func (s seeded) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(s)
	}
	return len(p), nil
}

// testKey returns the same key for the same seed; there is one RSA key for all seeds.
func testKey(t testing.TB, kind KeyType, seed byte) PrivateKey {
	t.Helper()
	if kind == RSA {
		for _, v := range vectors(t, "golibp2p.txt") {
			if v["name"] == "rsa-2048" {
				return v.private(t)
			}
		}
		t.Fatal("no RSA key in golibp2p.txt")
	}
	k, err := GenerateKey(kind, seeded(seed))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

var allTypes = []KeyType{RSA, Ed25519, Secp256k1, ECDSA}

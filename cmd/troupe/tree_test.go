//go:build unix

package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/troupe-p2p/troupe/inspect"
)

func TestTreeIsShownToPeopleAndPrograms(t *testing.T) {
	n := bringUp(t)
	code, out, errs := finish(t, t.TempDir(), "tree", "--inspect", n.url)
	text := strings.Join(out, "\n")
	if code != exitDone || errs != "" || !strings.HasPrefix(text, "node-1 ") {
		t.Fatalf("exit %d, %s\n%s", code, errs, text)
	}
	for _, want := range []string{"├─ keepers ", "│  ├─ book ", "├─ services ", "└─ movers ", "   ├─ peers ", "      └─ listener", "peer=" + n.id, "bound=/ip4/127.0.0.1/tcp/"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	code, out, errs = finish(t, t.TempDir(), "tree", "--json", "--inspect", n.url+"/")
	var p inspect.Page
	if err := json.Unmarshal([]byte(strings.Join(out, "\n")), &p); err != nil || code != exitDone || len(out) != 1 {
		t.Fatalf("exit %d, %v, %s, %d lines", code, err, errs, len(out))
	}
	if p.Schema != inspect.Schema || p.Peer != n.id || len(p.Roots) != 1 || p.Roots[0].Phase != "alive" {
		t.Errorf("%+v", p)
	}
	n.stop(t, syscall.SIGTERM)
}

func TestTreeIsWatched(t *testing.T) {
	n := bringUp(t)
	p := start(t, t.TempDir(), "tree", "--json", "--watch", "--inspect", n.url)
	for range 2 {
		if e := parse(t, p.next(t, "one look after another")); e["schema"] != 1.0 {
			t.Fatalf("%v", e)
		}
	}
	_ = p.cmd.Process.Signal(os.Interrupt)
	if code, _ := p.end(t, soon); code != exitDone {
		t.Errorf("interrupted: exit %d", code)
	}
	p = start(t, t.TempDir(), "tree", "--watch", "--inspect", n.url)
	if l := p.next(t, "people look too"); !strings.HasPrefix(l, "node-1 ") {
		t.Errorf("into a pipe it is drawn as %q", l)
	}
	n.stop(t, syscall.SIGTERM)
	if code, _ := p.end(t, soon); code != exitFailed {
		t.Errorf("after the node has gone: exit %d", code)
	}
}

func TestTreeOfWhatIsNoNode(t *testing.T) {
	answers := map[string]func(w http.ResponseWriter){
		"not a troupe node":                 func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"hello":1}`) },
		"what answers at":                   func(w http.ResponseWriter) { _, _ = io.WriteString(w, `<html>`) },
		"schema 99":                         func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"schema":99}`) },
		"answers 404 Not Found: not ?[here": func(w http.ResponseWriter) { http.Error(w, "not \x1b[here", http.StatusNotFound) },
		"answers 302":                       func(w http.ResponseWriter) { w.Header().Set("Location", "/x"); w.WriteHeader(http.StatusFound) },
	}
	for want, answer := range answers {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w) }))
		code, out, errs := call("tree", "--inspect", srv.URL)
		srv.Close()
		if code != exitFailed || out != "" || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, want) {
			t.Errorf("%s: exit %d, %q, %q", want, code, out, errs)
		}
		code, _, errs = call("tree", "--inspect", srv.URL)
		if code != exitFailed || !strings.Contains(errs, "nothing answers at "+srv.URL) || strings.Count(errs, "\n") != 1 {
			t.Errorf("gone: exit %d, %q", code, errs)
		}
	}
}

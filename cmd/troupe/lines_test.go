package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/inspect"
	"github.com/troupe-p2p/troupe/stream"
	"github.com/troupe-p2p/troupe/transports/conduit"
)

const somebody = "12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust"

var noon = time.Date(2026, 1, 2, 12, 0, 0, 500, time.UTC)

func events(t *testing.T) map[string]troupe.Event {
	t.Helper()
	id, err := identity.Decode(somebody)
	if err != nil {
		t.Fatal(err)
	}
	remote := ma.StringCast("/ip4/127.0.0.1/tcp/5")
	c := &stream.Conn{
		Endpoints: conduit.Endpoints{Remote: remote, Direction: conduit.Inbound}, Peer: id, Security: "/noise", Muxer: "/yamux/1.0.0",
	}
	const conn = `"peer":"` + somebody + `","addr":"/ip4/127.0.0.1/tcp/5","direction":"inbound","transport":"tcp","security":"/noise","muxer":"/yamux/1.0.0"`
	return map[string]troupe.Event{
		`{"event":"connected","at":"2026-01-02T12:00:00.0000005Z",` + conn + `,"path":"node-1/x"}`: {
			Kind: troupe.EventConnected, At: noon, Peer: id, Conn: c, Path: "node-1/x",
		},
		`{"event":"disconnected","at":"2026-01-02T12:00:00.0000005Z",` + conn + `,"error":"gone <away>","code":4097,"remote":true}`: {
			Kind: troupe.EventDisconnected, At: noon, Peer: id, Conn: c, Code: 0x1001, Remote: true, Err: errors.New("gone <away>"),
		},
		`{"event":"identified","at":"2026-01-02T12:00:00.0000005Z",` + conn + `,"addrs":["/ip4/127.0.0.1/tcp/5"],"protocols":["/a"],"agent":"x/1"}`: {
			Kind: troupe.EventIdentified, At: noon, Peer: id, Conn: c, Addrs: []ma.Multiaddr{remote}, Protocols: []string{"/a"}, Agent: "x/1",
		},
		`{"event":"panic","at":"2026-01-02T12:00:00.0000005Z","path":"node-1/y","error":"panic in y"}`: {
			Kind: troupe.EventPanic, At: noon, Path: "node-1/y", Err: errors.New("panic in y"),
		},
		`{"event":"listening","at":"2026-01-02T12:00:00.0000005Z","addr":"/ip4/127.0.0.1/tcp/5"}`: {
			Kind: troupe.EventListening, At: noon, Addrs: []ma.Multiaddr{remote},
		},
		`{"event":"upgrade_error","at":"2026-01-02T12:00:00.0000005Z","addr":"/ip4/127.0.0.1/tcp/5","error":"slow"}`: {
			Kind: troupe.EventUpgradeError, Addrs: []ma.Multiaddr{remote}, Err: errors.New("slow"),
		},
		`{"event":"addrs","at":"2026-01-02T12:00:00.0000005Z","addrs":[]}`: {Kind: troupe.EventAddrs},
	}
}

func TestEventLinesAreByteForByteTheContract(t *testing.T) {
	for want, e := range events(t) {
		var b bytes.Buffer
		o := &output{json: true, w: &b}
		o.say(newEventLine(e, 0, noon), "")
		if b.String() != want+"\n" {
			t.Errorf("got %swant %s", b.String(), want)
		}
	}
	var b bytes.Buffer
	(&output{json: true, w: &b}).say(newEventLine(troupe.Event{Kind: troupe.EventPanic, At: noon}, 7, noon), "")
	if want := `{"event":"panic","at":"2026-01-02T12:00:00.0000005Z","lost":7}` + "\n"; b.String() != want {
		t.Errorf("after a loss: got %swant %s", b.String(), want)
	}
}

func TestOtherLinesAreByteForByteTheContract(t *testing.T) {
	p50, most := 0.21, 1.5
	for want, v := range map[string]any{
		`{"event":"ready","peer":"12D3","addrs":["/a","/b"],"inspect":"http://127.0.0.1:1"}`: readyLine{"ready", "12D3", []string{"/a", "/b"}, "http://127.0.0.1:1"},
		`{"event":"ready","peer":"12D3","addrs":[]}`:                                         readyLine{"ready", "12D3", []string{}, ""},
		`{"event":"stopped","stragglers":[]}`:                                                stoppedLine{"stopped", []string{}},
		`{"event":"stopped","stragglers":["node-1/x"]}`:                                      stoppedLine{"stopped", []string{"node-1/x"}},
		`{"event":"pong","seq":1,"rtt_ms":0.21}`:                                             pongLine{"pong", 1, milliseconds(210 * time.Microsecond)},
		`{"event":"lost","seq":2,"error":"late"}`:                                            lostLine{"lost", 2, "late"},
		`{"event":"summary","sent":5,"received":5,"p50_ms":0.21,"max_ms":1.5,"peer":"12D3","transport":"tcp","security":"/noise","muxer":"/yamux/1.0.0"}`: summaryLine{"summary", 5, 5, &p50, &most, "12D3", "tcp", "/noise", "/yamux/1.0.0"},
		`{"event":"summary","sent":0,"received":0,"p50_ms":null,"max_ms":null,"peer":"","transport":"","security":"","muxer":""}`:                         summaryLine{Event: "summary"},
	} {
		var b bytes.Buffer
		(&output{json: true, w: &b}).say(v, "")
		if b.String() != want+"\n" {
			t.Errorf("got %swant %s", b.String(), want)
		}
	}
}

func TestPeopleSeeNoControlCharactersOfRemotes(t *testing.T) {
	e := troupe.Event{Kind: troupe.EventIdentified, At: noon, Agent: "\x1b[2Jevil\u202e\nready \u009b\xff", Err: errors.New("a\x07\nb")}
	got := newEventLine(e, 0, noon).human()
	if strings.ContainsAny(got, "\x1b\x07\n\u202e\u009b") || !strings.Contains(got, "?[2Jevil?; ready ??") || !strings.Contains(got, "a?; b") {
		t.Errorf("%q", got)
	}
	page := inspect.Page{Roots: []inspect.Actor{{Name: "a\x1b[0m", Values: map[string]string{"agent": "x\ny"}, Last: &inspect.Failure{Error: "e\x1b"}}}}
	if got := draw(page); strings.ContainsAny(got, "\x1b") || strings.Count(got, "\n") != 0 {
		t.Errorf("%q", got)
	}
}

func TestTextsOfRemotesAreCut(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	if got := plain(long); len(got) > maxText+10 {
		t.Errorf("%d bytes", len(got))
	}
	if l := newEventLine(troupe.Event{Err: errors.New(long)}, 0, noon); len(l.Error) > maxText+10 {
		t.Errorf("%d bytes", len(l.Error))
	}
}

// broken is a stdout that is gone.
type broken struct{ n int }

func (b *broken) Write([]byte) (int, error) { b.n++; return 0, errors.New("disk full") }

func TestOutputRemembersThatItCannotWrite(t *testing.T) {
	o := &output{w: &broken{}}
	o.say(nil, "a")
	o.say(nil, "b")
	if err := o.Err(); err == nil || !strings.Contains(err.Error(), "local: cannot write to stdout: disk full") {
		t.Errorf("%v", err)
	}
	var errs bytes.Buffer
	if code := run([]string{"version"}, &broken{}, &errs); code != exitFailed {
		t.Errorf("version to a full disk: exit %d, %q", code, errs.String())
	}
}

func TestTreeIsDrawn(t *testing.T) {
	fail := inspect.Failure{Actor: "n/b/c", At: noon, Error: "panic in n/b/c: bug", Stack: "goroutine 7\n\tmain.go:1\n"}
	page := inspect.Page{
		At: noon.Add(90 * time.Second),
		Roots: []inspect.Actor{{Name: "n", Kind: "node", Phase: "alive", AgeMS: 61234.5, Values: map[string]string{"peer": "12D3", "also": "x"}, Children: []inspect.Actor{
			{Name: "a", Kind: "a", Phase: "alive", AgeMS: 12.34, Queued: 3, OldestMS: 1234},
			{Name: "b", Kind: "supervisor", Phase: "alive", AgeMS: 999.9, Children: []inspect.Actor{
				{Name: "c-1", Kind: "c", Phase: "failed", AgeMS: 0.5, Restarts: 2, Failures: 3, ParkedMS: 5000, Refused: 4, RunningMS: 20, Last: &fail},
				{Name: "d", Kind: "task", Phase: "running"},
			}},
			{Name: "e", Kind: "e", Phase: "stopping", Children: []inspect.Actor{{Name: "f", Kind: "f", Phase: "alive"}}},
		}}},
		Abandoned: []inspect.Actor{{Path: "n/s", Name: "s", Kind: "stuck", Phase: "abandoned", AgeMS: 5000, Stack: "goroutine 8\n"}},
		Orphans:   []inspect.Actor{{Path: "n/s/o", Name: "o", Kind: "o", Phase: "alive"}},
		Failures:  []inspect.Failure{fail},
		Dead:      []inspect.Dead{{Path: "n/b/z", At: noon, LivedMS: 3, Error: "it\nbroke"}},
	}
	const want = `n                              node alive 1m1s  also=x  peer=12D3
├─ a                           alive 12ms  queued 3, oldest 1.2s
├─ b                           supervisor alive 1s
│  ├─ c-1                      failed 500µs  busy for 20ms  restarts 2  parked for 5s  refused 4  failures 3  last: panic in n/b/c: bug
│  └─ d                        task running 0s
└─ e                           stopping 0s
   └─ f                        alive 0s

abandoned: they did not come back after their stop
  n/s                          stuck abandoned 5s
     goroutine 8

orphans: children of the abandoned
  n/s/o                        o alive 0s

failures, newest first
  1m30s ago  panic in n/b/c: bug
    goroutine 7
        main.go:1

ended, newest first
  1m30s ago  n/b/z, lived 3ms: it; broke`
	if got := draw(page); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestLongListsAreDrawnInPart(t *testing.T) {
	page := inspect.Page{Failures: make([]inspect.Failure, recent+5), Dead: make([]inspect.Dead, recent+1)}
	if got := draw(page); !strings.Contains(got, "and 5 more") || !strings.Contains(got, "and 1 more") || !strings.Contains(got, "nothing lives here") {
		t.Errorf("%s", got)
	}
}

package main

import (
	"fmt"
	"strings"

	"github.com/troupe-p2p/troupe"
	"github.com/troupe-p2p/troupe/protocols/demo"
	"github.com/troupe-p2p/troupe/protocols/echo"
	"github.com/troupe-p2p/troupe/protocols/perf"
)

// demonstration is a protocol of --serve.
type demonstration struct {
	name, protocol string
	handler        func() troupe.Handler
}

var demonstrations = []demonstration{
	{"echo", echo.Protocol, echo.Handler},
	{"perf", perf.Protocol, perf.Handler},
	{"crash", demo.CrashProtocol, demo.Crash},
	{"hang", demo.HangProtocol, func() troupe.Handler { return demo.Hang(nil) }},
	{"stuck", demo.StuckProtocol, func() troupe.Handler { return demo.Stuck(nil) }},
}

// parseServe reads "echo,perf". The result is in the order of demonstrations, each once.
func parseServe(s string) ([]demonstration, error) {
	if s == "" {
		return nil, nil
	}
	var names []string
	for _, d := range demonstrations {
		names = append(names, d.name)
	}
	wanted := map[string]bool{}
	for name := range strings.SplitSeq(s, ",") {
		wanted[name] = true
	}
	var out []demonstration
	for _, d := range demonstrations {
		if wanted[d.name] {
			out = append(out, d)
			delete(wanted, d.name)
		}
	}
	for name := range strings.SplitSeq(s, ",") {
		if wanted[name] {
			return nil, fmt.Errorf("--serve: there is no %q, there are %s", name, strings.Join(names, ", "))
		}
	}
	return out, nil
}

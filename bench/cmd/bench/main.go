// Command bench runs the benchmark of Troupe beside go-libp2p. Run it in the folder bench:
//
//	go run ./cmd/bench                        everything, about an hour; writes RESULTS.md
//	go run ./cmd/bench -quick -only ping      a glance
//	go run ./cmd/bench -quick -only throughput-noise-1 -profiles /tmp/p
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"

	"github.com/troupe-p2p/troupe/bench/harness"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	cfg := harness.Config{Dir: ".", Table: os.Stdout, Log: os.Stderr}
	only := flag.String("only", "", "run only the experiments whose name matches this `regexp`")
	flag.BoolVar(&cfg.Quick, "quick", false, "few rounds of short measures; writes no file unless -out is given")
	flag.IntVar(&cfg.Rounds, "rounds", 0, "`number` of rounds instead of each experiment's own")
	flag.StringVar(&cfg.Out, "out", "", "`file` for the results (default RESULTS.md for a full run, else none)")
	flag.StringVar(&cfg.Profiles, "profiles", "", "`folder` for CPU and allocation profiles of both processes")
	flag.Parse()
	if *only != "" {
		re, err := regexp.Compile(*only)
		if err != nil {
			return fmt.Errorf("-only: %w", err)
		}
		cfg.Only = re
	}
	if cfg.Out == "" && cfg.Only == nil && !cfg.Quick {
		cfg.Out = "RESULTS.md"
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	return harness.Run(ctx, cfg)
}

// Package harness runs the benchmark: Troupe beside go-libp2p, as two processes on loopback.
//
//  1. build the peer programs
//  2. for each experiment, for each round, for each side in turn (A B A B ...): start a client and
//     a server afresh, warm them up, measure, end them
//  3. medians, spread and ratios of what was measured become rows, judged by floors and aims
//  4. print the rows; write them to a file together with what machine this was
package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"
)

// Config says what to run. The zero value runs everything and writes no file.
type Config struct {
	// Dir is the folder of the benchmark's module. Default: the current one.
	Dir string
	// Only picks experiments by name. Default: all.
	Only *regexp.Regexp
	// Quick runs few rounds of short measures: for work on the benchmark itself.
	Quick bool
	// Rounds replaces the number of rounds of each experiment. Default: each its own.
	Rounds int
	// Out is the file for the results; plots go beside it. Default: none.
	Out string
	// Profiles is a folder for profiles of both processes of each measure. Default: none.
	Profiles string
	// Table takes the results, Log what happens meanwhile. Default: nobody.
	Table, Log io.Writer
}

// env is one run of the benchmark.
type env struct {
	cfg  Config
	bins string
	all  results
}

// Run runs the benchmark. Its error says which experiments failed; the others are reported.
func Run(ctx context.Context, cfg Config) error {
	if cfg.Table == nil {
		cfg.Table = io.Discard
	}
	if cfg.Log == nil {
		cfg.Log = io.Discard
	}
	bins, err := os.MkdirTemp("", "troupe-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(bins) }()
	e := &env{cfg: cfg, bins: bins, all: results{}}
	if cfg.Profiles != "" {
		if err := os.MkdirAll(cfg.Profiles, 0o755); err != nil {
			return err
		}
	}
	machine := look(ctx, cfg)
	if err := e.build(ctx); err != nil {
		return err
	}
	var failed error
	for _, x := range experiments(cfg.Quick) {
		if cfg.Only != nil && !cfg.Only.MatchString(x.name) {
			continue
		}
		if err := e.experiment(ctx, x); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", x.name, err))
		}
		if ctx.Err() != nil {
			return errors.Join(failed, ctx.Err())
		}
	}
	machine.ends()
	return errors.Join(failed, e.report(machine))
}

// experiment runs the rounds of one experiment, the sides in turn.
func (e *env) experiment(ctx context.Context, x experiment) error {
	rounds := x.rounds
	if e.cfg.Quick {
		rounds = min(rounds, 2)
	}
	if e.cfg.Rounds > 0 {
		rounds = e.cfg.Rounds
	}
	var failed error
	for r := range rounds {
		for _, s := range x.sides {
			began := time.Now()
			v, err := e.once(ctx, x, s)
			if err != nil {
				err = fmt.Errorf("round %d, %s: %w", r+1, s, err)
				_, _ = fmt.Fprintf(e.cfg.Log, "%s: FAILED: %v\n", x.name, err)
				failed = errors.Join(failed, err)
				continue
			}
			e.all.add(x.name, s, r, v)
			_, _ = fmt.Fprintf(e.cfg.Log, "%-24s round %d/%d  %-20s %s  (%.1f s)\n",
				x.name, r+1, rounds, s, v, time.Since(began).Seconds())
		}
	}
	return failed
}

// onceTimeout bounds one round of one side.
const onceTimeout = 15 * time.Minute

func (e *env) once(ctx context.Context, x experiment, s side) (values, error) {
	ctx, cancel := context.WithTimeout(ctx, onceTimeout)
	defer cancel()
	return x.run(ctx, e, s)
}

// smallest are the flags for a program whose size counts.
var smallest = []string{"-trimpath", "-ldflags", "-s -w"}

func (e *env) build(ctx context.Context) error {
	withQUIC := append([]string{"-tags", "quic"}, smallest...)
	for _, b := range []struct {
		name, as string
		flags    []string
	}{
		{ours, "", nil}, {theirs, "", nil}, {bare, "", nil}, {"echolibs", "", smallest},
		{"echotroupe", "", smallest}, {"echogolibp2p", "", smallest}, {"echoparts", "", smallest},
		{"echotroupe", "quic", withQUIC}, {"echogolibp2p", "quic", withQUIC}, {"echoparts", "quic", withQUIC},
	} {
		args := append(append([]string{"build", "-o", e.binary(b.name + b.as)}, b.flags...), "./cmd/"+b.name)
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir = e.cfg.Dir
		if msg, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go build ./cmd/%s: %w\n%s", b.name, err, msg)
		}
	}
	return nil
}

func (e *env) binary(name string) string { return filepath.Join(e.bins, name) }

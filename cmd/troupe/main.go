// Command troupe runs a libp2p node and looks at it.
//
//	troupe up          a node, until SIGINT or SIGTERM
//	troupe ping        round trips to another node, of any implementation
//	troupe perf        throughput to another node, and libp2p's benchmark
//	troupe id          this machine's identity
//	troupe key new     a new identity file
//	troupe tree        the live tree of a node that runs with --inspect
//	troupe version     what this program is
//
// Programs read its output, so it is a contract. With --json every line on stdout is one JSON
// object whose "event" says what it is; up begins with "ready" and ends with "stopped", ping ends
// with "summary"; perf speaks the language of libp2p's benchmark. Logs and complaints go to stderr, one line each. Exit codes: 0 done, 1 failed, 2
// called wrongly.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// run is the program.
func run(args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteC()
	if err == nil {
		return exitDone
	}
	line := cmd.CommandPath() + ": " + strings.TrimPrefix(oneLine(err.Error()), "troupe: ")
	var failed *failure
	if errors.As(err, &failed) {
		_, _ = fmt.Fprintln(stderr, line)
		return exitFailed
	}
	_, _ = fmt.Fprintf(stderr, "%s; see %s --help\n", line, cmd.CommandPath())
	return exitUsage
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "troupe",
		Short:         "A libp2p node in which everything that lives is a supervised actor",
		SilenceErrors: true, SilenceUsage: true, DisableSuggestions: true,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return errors.New("no command given") },
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(newUp(), newPing(), newPerf(), newID(), newKey(), newTree(), newVersion())
	return root
}

// failure is an error of a command that was called rightly. Every other error is wrong usage.
type failure struct{ err error }

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// failed marks an error as a failure; nil stays nil.
func failed(err error) error {
	if err == nil {
		return nil
	}
	return &failure{err}
}

// noArgs and oneArg say what is wrong with a command's arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 && cmd.HasSubCommands() {
		return fmt.Errorf("there is no command %q", args[0])
	}
	if len(args) > 0 {
		return fmt.Errorf("%q is one word too many", args[0])
	}
	return nil
}

func oneArg(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch len(args) {
		case 0:
			return fmt.Errorf("no %s given", what)
		case 1:
			return nil
		}
		return fmt.Errorf("one %s is wanted, %d were given", what, len(args))
	}
}

package main

import (
	"runtime"

	"github.com/spf13/cobra"

	"github.com/troupe-p2p/troupe"
)

func newVersion() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Say what this program is",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l := struct {
				Version string `json:"version"`
				Go      string `json:"go"`
				OS      string `json:"os"`
				Arch    string `json:"arch"`
			}{troupe.Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH}
			out := &output{json: asJSON, w: cmd.OutOrStdout()}
			out.say(l, "troupe %s (%s %s/%s)", l.Version, l.Go, l.OS, l.Arch)
			return failed(out.Err())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one line of JSON")
	return cmd
}

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/troupe-p2p/troupe/identity"
)

func newID() *cobra.Command {
	var path string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "id",
		Short: "Show the identity that up uses; make it if there is none",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := wantPath(cmd, path); err != nil {
				return err
			}
			k, path, err := ensureKey(path, cmd.ErrOrStderr())
			if err != nil {
				return failed(err)
			}
			return failed(showKey(&output{json: asJSON, w: cmd.OutOrStdout()}, k, path))
		},
	}
	cmd.Flags().StringVar(&path, "identity", "", identityHelp)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one line of JSON")
	return cmd
}

const identityHelp = "`FILE` with the private key in libp2p's protobuf form, made if it is not there (default <user config dir>/troupe/key)"

// wantPath refuses --identity "", which is a script's empty variable and not the default.
func wantPath(cmd *cobra.Command, path string) error {
	if path == "" && cmd.Flags().Changed("identity") {
		return fmt.Errorf("--identity is empty")
	}
	return nil
}

// keyLine is what id and key new print.
type keyLine struct {
	Peer string `json:"peer"`
	CID  string `json:"cid"`  // the same as a CID
	Type string `json:"type"` // as in key new --type
	File string `json:"file"`
}

func showKey(out *output, k identity.PrivateKey, path string) error {
	id, err := identity.IDFromKey(k.Public())
	if err != nil {
		return err
	}
	l := keyLine{Peer: id.String(), CID: id.CID(), Type: keyTypeName(k.Type()), File: path}
	out.say(l, "peer  %s\ncid   %s\ntype  %s\nfile  %s", l.Peer, l.CID, l.Type, l.File)
	return out.Err()
}

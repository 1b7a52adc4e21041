package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/troupe-p2p/troupe/identity"
	"github.com/troupe-p2p/troupe/negotiation/pnet"
)

func newKey() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Make identity files, and pre-shared keys of private networks",
		Args:  noArgs,
		RunE:  func(*cobra.Command, []string) error { return errors.New("no command given") },
	}
	cmd.AddCommand(newKeyNew(), newKeyPSK())
	return cmd
}

// keyTypes are the types by the names of the command line.
var keyTypes = []identity.KeyType{identity.Ed25519, identity.Secp256k1, identity.ECDSA, identity.RSA}

func newKeyNew() *cobra.Command {
	var name string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "new FILE",
		Short: "Make a new identity file, never replacing one",
		Args:  oneArg("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := parseKeyType(name)
			if err != nil {
				return err
			}
			if args[0] == "" {
				return errors.New("FILE is empty")
			}
			k, err := identity.GenerateKey(t, rand.Reader)
			if err != nil {
				return failed(err)
			}
			if err := created(args[0], createKey(args[0], k)); err != nil {
				return failed(err)
			}
			return failed(showKey(&output{json: asJSON, w: cmd.OutOrStdout()}, k, args[0]))
		},
	}
	cmd.Flags().StringVar(&name, "type", "ed25519", "`TYPE` of the key: ed25519, secp256k1, ecdsa or rsa")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one line of JSON")
	return cmd
}

// created is how a file that is there already is told.
func created(path string, err error) error {
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("local: %s exists and stays as it is", path)
	}
	return err
}

// pskLine is a new pre-shared key. The fingerprint gives nothing away.
type pskLine struct {
	Fingerprint string `json:"fingerprint"`
	File        string `json:"file"`
}

func newKeyPSK() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "psk FILE",
		Short: "Make the pre-shared key of a new private network, for --psk, never replacing one",
		Args:  oneArg("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] == "" {
				return errors.New("FILE is empty")
			}
			k, err := pnet.GenerateKey(rand.Reader)
			if err != nil {
				return failed(err)
			}
			if err := created(args[0], createSecret("key file", args[0], k.AppendFile(nil))); err != nil {
				return failed(err)
			}
			out := &output{json: asJSON, w: cmd.OutOrStdout()}
			l := pskLine{k.String(), args[0]}
			out.say(l, "fingerprint  %s\nfile         %s", l.Fingerprint, l.File)
			return failed(out.Err())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one line of JSON")
	return cmd
}

func keyTypeName(t identity.KeyType) string { return strings.ToLower(t.String()) }

func parseKeyType(name string) (identity.KeyType, error) {
	for _, t := range keyTypes {
		if keyTypeName(t) == name {
			return t, nil
		}
	}
	return 0, fmt.Errorf("--type %q: wanted is ed25519, secp256k1, ecdsa or rsa", name)
}

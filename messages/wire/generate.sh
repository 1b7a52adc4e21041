#!/bin/sh
# Generates the Go code of every .proto file beside it. Needs protoc 3.21.12 (Debian 12:
# protobuf-compiler) and Go; protoc-gen-go is fetched in the version that go.mod pins.
set -eu
cd "$(dirname "$0")"
want="libprotoc 3.21.12"
if [ "$(protoc --version)" != "$want" ]; then
	echo "generate.sh: need $want, found $(protoc --version)" >&2
	exit 1
fi
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
GOBIN=$bin go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
for proto in */*.proto; do
	dir=${proto%/*}
	# The path given here is the name the file registers under. It must be ours alone: a
	# program may link go-libp2p too, and two files of one name panic at start.
	protoc --plugin="$bin/protoc-gen-go" -I "troupe/wire=$dir" \
		--go_out=. --go_opt=module=github.com/troupe-p2p/troupe/messages/wire "$proto"
done

# What a contributor runs. Everything works from a fresh clone; what is not here is fetched by
# the go command or by npm. CI (.ci/run) runs check, test, race and smoke.
#
#   make check     format, vet, lint, known vulnerabilities, architecture, other platforms
#   make test      unit tests, and a smoke test against go-libp2p; needs nothing but Go
#   make race      the same with the race detector and shuffled; needs a C compiler
#   make smoke     the smoke test against go-libp2p and js-libp2p; needs npm
#   make interop   the full matrix with both and with a page in Chromium; needs npm and that; writes interop/MATRIX.md
#   make browser   of that, the page alone
#   make sim       a thousand simulated networks, a simulated day, planted bugs; writes docs/sim.md
#   make robust    attacks and faults with foreign peers as witnesses; Linux, minutes
#   make fuzz      every fuzz target for FUZZTIME; writes docs/fuzz.md
#   make bench     Troupe beside go-libp2p; about 18 minutes, writes bench/RESULTS.md; BENCH=-quick for a glance
#   make costs     what a node, a connection, a stream and a known peer cost in memory
#   make cover     test coverage by package

SHELL := bash
GO ?= go
FUZZTIME ?= 60s

GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.13.0
INTEROP := cd interop && $(GO) test -count=1

# What meets a program made of the public packages, and what meets the command line.
OURS := Outbound
ifneq ($(wildcard cmd/troupe),)
OURS := Outbound|Smoke
endif

.PHONY: all check fmt vet lint vuln arch cross test unit race smoke interop browser interop-deps browser-deps sim
.PHONY: robust fuzz bench costs cover clean

all: check test

check: fmt vet lint vuln arch cross

fmt:
	@unformatted=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')); \
	if [ -n "$$unformatted" ]; then echo "not formatted by gofmt:"; echo "$$unformatted"; exit 1; fi

vet:
	$(GO) vet ./...
	cd examples/outside && $(GO) vet ./...
	cd interop && $(GO) vet ./...
	cd bench && $(GO) vet ./...

lint:
	$(GO) run $(GOLANGCI) run ./...
	cd interop && $(GO) run $(GOLANGCI) run --config ../.golangci.yml ./...

vuln:
	tools/ci/vuln

# The policy of the tree: who imports whom, and what a core may not do.
arch:
	$(GO) test -count=1 ./internal/arch

cross:
	tools/ci/cross

test: unit
	$(INTEROP) -run '^Test(Peers|$(OURS)).*Go$$' .

unit:
	$(GO) test ./...
	$(GO) test -tags purego ./internal/chachapoly
	cd examples/outside && $(GO) test ./...
	cd interop && $(GO) test ./contract/...
	cd bench && $(GO) test ./...

race:
	CGO_ENABLED=1 $(GO) test -race -shuffle=on ./...
	cd interop && CGO_ENABLED=1 $(GO) test -race -shuffle=on ./contract/...
	$(INTEROP) -run '^Test($(OURS)).*Go$$' .

# The process under test is raced too, not only the test that watches it.
race: export INTEROP_RACE = 1

smoke: interop-deps
	$(INTEROP) -run '^Test(Peers|$(OURS))' .

interop: export INTEROP_MATRIX = MATRIX.md
interop: interop-deps browser-deps
	$(INTEROP) -v -timeout 30m -run '^Test(Peers|Outbound|Smoke|Full)' .

browser: interop-deps browser-deps
	$(INTEROP) -v -run '^TestFullBrowser' .

sim:
	tools/ci/sim docs/sim.md

robust:
	$(INTEROP) -v -timeout 60m -run '^TestRobust' .

interop-deps: interop/jspeer/node_modules/.installed

# It runs on the Node of jspeer. Chromium itself is the system's.
browser-deps: interop/browser/node_modules/.installed

# Scripts of packages are not run: none of ours needs one.
interop/%/node_modules/.installed: interop/%/package-lock.json
	cd interop/$* && npm ci --ignore-scripts --no-fund --no-audit
	touch $@

fuzz:
	tools/ci/fuzz $(FUZZTIME) docs/fuzz.md

bench:
	TROUPE_LONG=1 $(GO) test -count=1 -run '^TestDataFlow' .
	cd bench && $(GO) run ./cmd/bench $(BENCH)

costs:
	cd bench && $(GO) run ./cmd/bench -only '^memory' -rounds 2
	$(GO) test -run '^$$' -bench PeerMemory -benchtime 1x ./peerstore/book

cover:
	$(GO) test -coverprofile=cover.out ./...
	$(GO) tool cover -func=cover.out | tail -1

clean:
	rm -rf cover.out interop/jspeer/node_modules interop/browser/node_modules

# Needs Go, make, git and sh. All other tools are pinned in tools/ and come from
# the Go module proxy, except promtool (tools/promtool.sh).

MODULE  := github.com/atlas-provisioner/atlas-provisioner
VERSION  = $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT   = $(shell git rev-parse HEAD 2>/dev/null)
LDFLAGS  = -X $(MODULE)/internal/version.Version=$(VERSION) -X $(MODULE)/internal/version.Commit=$(COMMIT)
PROGRAMS = ./cmd/worker ./cmd/starter ./cmd/atlas-sim

# The race detector needs a C compiler on most systems. Where there is none, go
# sets CGO_ENABLED=0. `make test RACE=` tests without it.
RACE = $(if $(filter 1,$(shell go env CGO_ENABLED)),-race,$(warning no C compiler: testing without -race))

LINT_BIN := $(CURDIR)/bin/lint

# The modules beside the main one: the benchmarks, the checks of deploy/ and of a
# release, and the generator of the schemas. Their dependencies must not become
# the programs'.
MODULES = internal/dev/bench tools/checks contract/schema/generate

# $(call timed,NAME,COMMAND) runs a command, prints how long it took, and adds a line to the table of `make ci`.
timed = @echo '$(1)'; begun=$$(date +%s); $(2) && took=$$(($$(date +%s) - begun)) && echo "  $$took s" && \
	echo "$$begun $$took $(1)" >>'$(TIMES)'
TIMES = /dev/null

.PHONY: help build programs bin/dev bin/chaos demo up ci test packages modules fuzz mutate release
.PHONY: chaos chaos-postgres bench bench-micro examples browser pictures lint lint-tools schema fmt clean
.DEFAULT_GOAL := help

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z\/-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

build: programs bin/temporal ## Build worker, starter, atlas-sim and temporal into bin/

programs:
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ $(PROGRAMS)

# A temporal program on the PATH is used as it is, unless it is the one in bin/.
bin/temporal: tools/go.mod tools/go.sum
	@mkdir -p bin
	@found=$$(command -v temporal || true); case "$$found" in \
	"$(CURDIR)"/*) ;; \
	/*) echo "bin/temporal -> $$found"; exec ln -sf "$$found" $@ ;; \
	esac; \
	echo "Building the Temporal CLI into bin/temporal: takes minutes the first time, seconds after that."; \
	cd tools && rm -f ../$@ && exec go build -o ../$@ github.com/temporalio/cli/cmd/temporal

# The program is built, since `go run` ends at a SIGTERM without passing it on,
# and would leave the stack running.
bin/dev:
	@go build -o $@ ./internal/dev

demo: build bin/dev ## Make, change, upgrade and delete clusters, on a local Temporal and the Atlas simulator
	@exec bin/dev demo

up: build bin/dev ## Start Temporal, the Atlas simulator and the worker; stop them with Ctrl-C
	@exec bin/dev up

# The tests of the packages mostly wait; linters and fuzzing only compute. So both run side by side, and the tests come
# first where both want a processor.
ci: ## Run lint and test side by side, as CI does, and print how long each step took
	@mkdir -p bin && : >bin/times; begun=$$(date +%s); \
	nice -n 5 $(MAKE) --no-print-directory TIMES='$(CURDIR)/bin/times' lint modules fuzz >bin/beside.log 2>&1 & \
	beside=$$!; failed=0; \
	$(MAKE) --no-print-directory TIMES='$(CURDIR)/bin/times' packages || failed=1; \
	wait $$beside || failed=1; cat bin/beside.log; \
	echo ' begins    takes'; \
	{ sort -n bin/times; echo "$$begun $$(($$(date +%s) - begun)) everything"; } | \
		awk -v begun=$$begun '{ printf "%5d s  %5d s  %s\n", $$1 - begun, $$2, substr($$0, index($$0, $$3)) }'; \
	exit $$failed

test: packages modules fuzz ## Run every test, and fuzz for half a minute

# The tests of a package wait far more than they compute, so many of them run at once, and so do two packages. The
# packages that take longest begin first. `make lint` vets the tests, too.
LONGEST = ./internal/integration ./internal/dev/chaos ./internal/docs ./internal/worker ./internal/starter

packages: bin/temporal examples browser
	$(call timed,go test ./...,TEMPORAL_CLI='$(CURDIR)/bin/temporal' \
		go test $(RACE) -vet=off -p 2 -parallel 16 $(LONGEST) ./...)

# tools/checks has -count=1: Go's cache does not notice that a file outside the
# module has changed.
modules:
	$(call timed,go test internal/dev/bench,go test -C internal/dev/bench $(RACE) ./...)
	$(call timed,go test contract/schema/generate,go test -C contract/schema/generate $(RACE) ./...)
	$(call timed,go test tools/checks,go test -C tools/checks -count=1 ./...)
	$(call timed,go test tools/lint,go test -C tools/lint ./...)

# These targets install what the tests of the documentation need: programs that
# are missing come from Debian, npm's packages are those of package-lock.json.
examples: examples/typescript/node_modules
	@tools/debian.sh jq

browser: tools/webui/node_modules
	@tools/debian.sh chromium

%/node_modules: %/package-lock.json
	tools/debian.sh nodejs npm
	cd $* && npm ci --no-audit --no-fund --prefer-offline
	@touch $@

# A number of inputs rather than a time: where a time is over, go test fails now and then with "context deadline
# exceeded" on a busy machine (https://go.dev/issue/75804, mended in Go 1.27).
FUZZTIME = 8000x

# packages_with finds the packages that have a test file with a line.
packages_with = grep -rl --include='*_test.go' '$(1)' . | xargs -n 1 dirname | sort -u

# Each package is built once: `go test -fuzz` would link it again for each target.
fuzz: ## Fuzz every target there is with FUZZTIME=8000x inputs each
	$(call timed,fuzz,mkdir -p bin/fuzz && inputs=$$(go env GOCACHE)/fuzz/$(MODULE) && \
	for package in $$($(call packages_with,^func Fuzz)); do \
		program='$(CURDIR)'/bin/fuzz/$$(basename $$package).test; \
		go test -c -fuzz . -o "$$program" $$package && targets=$$("$$program" -test.list '^Fuzz') || exit; \
		for target in $$targets; do \
			echo "$$package $$target"; \
			(cd $$package && exec "$$program" -test.run '^$$' -test.fuzz "^$$target\$$" \
				-test.fuzztime $(FUZZTIME) -test.fuzzcachedir "$$inputs/$$package") >bin/fuzz/log 2>&1 || \
				{ cat bin/fuzz/log; exit 1; }; \
		done; \
	done)

mutate: bin/temporal ## Take out each safeguard and see its test fail
	TEMPORAL_CLI='$(CURDIR)/bin/temporal' go run ./internal/dev/mutate

# The archives are the same, byte for byte, for the same commit and compiler.
# This target needs GNU tar and sha256sum.
PLATFORMS = linux/amd64 linux/arm64 darwin/amd64 darwin/arm64
DIST      = dist

release: ## Cross-build static binaries into dist/, archived, with checksums
	@rm -rf '$(DIST)' && mkdir -p '$(DIST)'
	@set -e; for platform in $(PLATFORMS); do \
		name=atlas-provisioner_$(VERSION)_$$(echo $$platform | tr / _); \
		echo "$(DIST)/$$name.tar.gz"; \
		CGO_ENABLED=0 GOOS=$${platform%/*} GOARCH=$${platform#*/} \
			go build -trimpath -buildvcs=false -ldflags '-s -w $(LDFLAGS)' -o "$(DIST)/$$name/" $(PROGRAMS); \
		cp README.md LICENSE "$(DIST)/$$name/"; \
		tar -C "$(abspath $(DIST))" --sort=name --mtime=@$$(git log -1 --format=%ct) \
			--owner=0 --group=0 --numeric-owner --mode=u+rw,go-w \
			--use-compress-program='gzip -n' -cf "$(abspath $(DIST))/$$name.tar.gz" $$name; \
		rm -r "$(DIST)/$$name"; \
	done
	@cd '$(DIST)' && sha256sum *.tar.gz >checksums.txt

pictures: bin/temporal browser ## Look at the Web UI in a browser, and write its pictures to docs/
	TEMPORAL_CLI='$(CURDIR)/bin/temporal' go test ./internal/docs -count=1 -run TestWebUI -pictures

SEED = 1

chaos: build bin/chaos ## Run 400 requests while Atlas fails and everything is killed; SEED=1
	@exec bin/chaos -seed $(SEED)

chaos-postgres: build bin/chaos bin/temporal-server ## The same on a Temporal server on PostgreSQL
	@postgres=$$(tools/postgresql.sh) && exec bin/chaos -seed $(SEED) -postgres "$$postgres"

bin/chaos:
	@go build -o $@ ./internal/dev/chaos

# The server of docker-compose.yml and its schema tool.
bin/temporal-server: tools/server/go.mod tools/server/go.sum
	@echo "Building the Temporal server into $@: takes minutes the first time, seconds after that."
	@rm -rf $@ && mkdir -p $@.new && cd tools/server && \
	go build -o ../../$@.new/temporal-server go.temporal.io/server/cmd/server && \
	go build -o ../../$@.new/temporal-sql-tool go.temporal.io/server/cmd/tools/sql && \
	mv ../../$@.new ../../$@ && touch ../../$@

# ONLY names scenarios, separated by commas. SCALE makes trials of fewer clusters.
ONLY  =
SCALE = 1

bench: build ## Measure everything, hold it against the bars, write docs/benchmarks.md; ONLY=fleet-20
	@go build -C internal/dev/bench -o '$(CURDIR)/bin/benchmark' .
	@exec bin/benchmark -only '$(ONLY)' -scale '$(SCALE)'

# To keep what was measured: cp bin/bench/new.txt docs/benchmarks/micro.txt
bench-micro: ## Run the Go benchmarks six times, compare with docs/benchmarks/micro.txt
	@mkdir -p bin/bench
	go test -run '^$$' -bench . -benchmem -count 6 $$($(call packages_with,^func Benchmark)) >bin/bench/new.txt || \
		{ cat bin/bench/new.txt; exit 1; }
	@kept=$$(ls '$(CURDIR)/docs/benchmarks/micro.txt' 2>/dev/null); \
	go tool -C internal/dev/bench benchstat $$kept '$(CURDIR)/bin/bench/new.txt'

# The import rules are in .depguard.yml. LINT_PATHS limits what goimports and
# columns look at.
LINT_PATHS = .
GOIMPORTS  = $(LINT_BIN)/goimports -local $(MODULE)

lint: bin/promtool lint-tools ## Check formatting, columns, go vet, staticcheck, determinism, imports and alerts
	@unformatted=$$(gofmt -s -l $(LINT_PATHS); $(GOIMPORTS) -l $(LINT_PATHS)); [ -z "$$unformatted" ] || \
		{ echo "not formatted, run make fmt:"; echo "$$unformatted"; exit 1; }
	$(LINT_BIN)/columns $(LINT_PATHS)
	go mod tidy -diff
	$(call timed,go vet,go vet ./...)
	$(call timed,staticcheck,$(LINT_BIN)/staticcheck ./...)
	$(call timed,workflowcheck,$(LINT_BIN)/workflowcheck -config .workflowcheck.yml ./...)
	$(call timed,depguard,$(LINT_BIN)/depguard ./...)
	$(call timed,linters of the other modules,for module in $(MODULES) tools/lint; do echo "$$module" && \
		(cd $$module && go mod tidy -diff && go vet ./... && $(LINT_BIN)/staticcheck ./...) || exit; done)
	bin/promtool check config deploy/monitoring/prometheus.yml
	bin/promtool test rules deploy/monitoring/alerts_test.yml

lint-tools:
	$(call timed,building the linters,go build -C tools/lint -o '$(LINT_BIN)/' tool ./columns)

bin/promtool:
	tools/promtool.sh

schema: ## Write contract/schema from the Go types
	go run -C contract/schema/generate .

fmt: lint-tools ## Format the code
	gofmt -s -w $(LINT_PATHS)
	$(GOIMPORTS) -w $(LINT_PATHS)

clean: ## Remove bin/ and dist/
	rm -rf bin dist

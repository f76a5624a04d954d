# One line of help a target: make help. Everything that is made lies under out/.

# No C compiler is needed to build: the packet core's objects are committed.
export CGO_ENABLED := 0

# Namespaces, BPF and daemons of other users need root.
SUDO := $(if $(filter 0,$(shell id -u)),,sudo --preserve-env=PATH,HOME,GOPATH,GOCACHE,GOMODCACHE,GOPROXY,GOFLAGS,GOTOOLCHAIN,CGO_ENABLED)
SHELL_SCRIPTS := hack/bootstrap hack/runtime hack/test-qemu .ci/run controlplane/web/assets/generate.sh
GO_FILES = $(shell git ls-files --cached --others --exclude-standard '*.go')
C_FILES = $(wildcard bpf/*.c bpf/*.h hack/bench/bpf/*.c)

# What tests measure needs cores, and many set up the machine: one package at a time. Those of BESIDE do neither, and use one core each.
TEST_FLAGS ?= -count=1 -timeout 15m
TEST ?= ./...
BESIDE := ./controlplane/config/... ./dataplane/sanitize/... ./dataplane/verdict/... ./dataplane/verify/... ./dataplane/likeness/...
FUZZ_EACH ?= 1m

.PHONY: help bootstrap build generate check-generated lint test test-qemu bench fuzz demo clean

help: ## show this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1	\2/p' $(MAKEFILE_LIST) | expand -t 24

bootstrap:
	@hack/bootstrap

build: ## all programs into out/bin
	@mkdir -p out/bin
	go build -trimpath -ldflags '-s -w' -o out/bin/ ./cmd/... ./hack/lab ./hack/demo ./hack/bench

generate: bootstrap ## packet core objects from bpf/, browser assets from npm packages
	go generate ./...
	controlplane/web/assets/generate.sh

check-generated: generate ## fails when a committed generated file is stale
	git diff --exit-code

lint: bootstrap ## go mod tidy, go vet, staticcheck, gofmt, clang-format, shellcheck
	go mod tidy -diff
	go vet ./...
	go tool staticcheck ./...
	@unformatted=$$(gofmt -l $(GO_FILES)); if [ -n "$$unformatted" ]; then echo "gofmt -w $$unformatted"; exit 1; fi
	clang-format --dry-run -Werror $(C_FILES)
	shellcheck $(SHELL_SCRIPTS)

test: bootstrap build ## sets up what is missing, then everything: Go, BPF, namespaces, sandboxes, browser
ifeq ($(TEST),./...)
	$(SUDO) go test $(TEST_FLAGS) $(BESIDE)
	$(SUDO) go test $(TEST_FLAGS) -p 1 $(filter-out $(shell go list $(BESIDE)),$(shell go list ./...))
else
	$(SUDO) go test $(TEST_FLAGS) -p 1 $(TEST)
endif

test-qemu: bootstrap ## the packet core on Debian 13's kernel, under emulation
	$(SUDO) hack/test-qemu $(TEST_QEMU)

bench: bootstrap build ## measures the packet core, tunnels and the sanitizer beside their peers; prints tables, writes out/bench.json, bench.svg and flood.svg
	@$(SUDO) out/bin/bench

fuzz: bootstrap ## every fuzz target of the file lane for a minute, or FUZZ_EACH; adds to hack/fuzz/executions.json
	$(SUDO) go run ./hack/fuzz -each $(FUZZ_EACH)

demo: bootstrap build ## the lab town hall, the main job, then the web pages; ONCE=1 stops after the main job
	@$(SUDO) out/bin/demo $(if $(filter 1,$(ONCE)),--once)

clean: ## remove what was built
	rm -rf out

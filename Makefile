# capOS. The rules live beside what they build; this file gathers them and names the goals.
# `make help` lists them. Everything that is built goes to build/.

BUILD := build
GO    ?= go

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

HOST_GO := env -u GOOS -u GOARCH -u GOFLAGS -u GOROOT GOTOOLCHAIN=local GOWORK=off CGO_ENABLED=0 \
	$(GO)

-include tools/schema.mk
-include tools/manifest.mk
-include go/race/race.mk
-include kernel/kernel.mk
-include lib/lib.mk
-include services/services.mk
-include models/models.mk
-include tests/host/host.mk
-include bench/bench.mk

.PHONY: help run test test-go test-modules test-system kernel kernel-debug lib services schema \
	tools bench models host-tests clean

help: ## list the goals
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | \
		awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'

run: ## boot capOS with the Go program examples/hello
	@./capos run examples/hello

test: ## run everything that must hold and fits continuous integration
	@./capos test

test-go: ## run all of Go's own tests that tests/go/packages.txt lists
	@./capos test --all --only "go*/*"

test-modules: ## published programs and modules: build them, compare them with Linux
	@./capos test --all --only "modules/*" --only "programs/*" --only "suites/*"

test-system: ## run all system tests, the long ones too
	@./capos test --all --only system

kernel: ## build build/kernel/capos.elf
kernel-explore: ## the same with choices made by a seed: build/kernel-explore/capos.elf
kernel-race: ## that one, which also finds data races in itself: build/kernel-race/capos.elf
kernel-debug: ## the same with assertions and poisoning: build/kernel-debug/capos.elf
lib: ## build the C libraries in build/lib
services: ## build init in build/services
schema: ## generate everything that abi/schema declares, in build/gen
bench: ## compare with a Linux guest, instruction-exact
models: ## check the models of the racy protocols
host-tests: ## run the tests of pure parts that are programs of this host

tools: schema build/race/race.syso ## build the host tools in build/tools
	@mkdir -p $(BUILD)/tools/bin
	@cd tools && $(HOST_GO) build -buildvcs=false -trimpath -o ../$(BUILD)/tools/ \
		./capos ./goport
	@touch $(BUILD)/tools/capos
	@ln -sf ../capos $(BUILD)/tools/bin/go_capos_amd64_exec

clean: ## remove build/ (the cache directory stays)
	rm -rf $(BUILD)

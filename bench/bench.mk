# Comparison with a Linux guest. `make bench ONLY='thread*,raw.thread_switch'` measures some rows.

.PHONY: bench bench-check

bench:
	@bench/run $(if $(ONLY),--only '$(ONLY)') $(BENCH_FLAGS)

bench-check: ## check the benchmark's own sources
	@cd bench && $(HOST_GO) vet ./...
	@cd tools && $(HOST_GO) vet ./bench && $(HOST_GO) test ./bench

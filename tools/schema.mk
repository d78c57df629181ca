# The schema compiler, and everything generated from abi/schema. `make schema` brings build/gen,
# the packages abi of the tools and of the Go tests, and package capos up to date.

SCHEMA_SOURCES   := $(wildcard abi/schema/*.capnp)
CAPNPC_SOURCES   := $(filter-out %_test.go,$(wildcard tools/capnpc-capos/*.go)) tools/go.mod
CAPNPC           := build/tools/capnpc-capos
SCHEMA_STAMP     := build/gen/.stamp
TOOLS_ABI        := tools/internal/abi/abi.go
TESTS_ABI        := tests/system/internal/abi/abi.go
GO_PACKAGE       := go/capos/zabi.go
TESTS_SCHEMA     := build/gen/tests/all.capnp.h

.PHONY: schema
schema: $(SCHEMA_STAMP) $(TOOLS_ABI) $(TESTS_ABI) $(GO_PACKAGE) $(TESTS_SCHEMA)

$(CAPNPC): $(CAPNPC_SOURCES)
	@mkdir -p $(@D)
	cd tools && $(HOST_GO) build -buildvcs=false -trimpath -o ../$@ ./capnpc-capos

# The compiler leaves unchanged outputs alone, so the stamp carries the time of the last run.
$(SCHEMA_STAMP): $(SCHEMA_SOURCES) $(CAPNPC)
	@mkdir -p build/gen
	capnp compile -I abi/schema -o $(CAPNPC):build/gen $(SCHEMA_SOURCES)
	@touch $@

# Left alone while it is the same, so that nothing that imports it is built again.
$(TOOLS_ABI) $(TESTS_ABI): $(SCHEMA_STAMP)
	@mkdir -p $(@D)
	@cmp -s build/gen/go/host/abi.go $@ || cp build/gen/go/host/abi.go $@

$(GO_PACKAGE): $(SCHEMA_STAMP)
	@cmp -s build/gen/$@ $@ || cp build/gen/$@ $@

# So that a rule can name a generated file as its prerequisite.
build/gen/include/capos/abi.h build/gen/kernel/methods.h build/gen/kernel/dispatch.c \
build/gen/kernel/grants.h build/gen/libcapos/capos/stubs.h build/gen/libcapos/capos/grants.h \
build/gen/libcapos/stubs.c build/gen/docs/reference.md \
build/gen/go/runtime/zabi_capos.go build/gen/go/syscall/zabi_capos.go: $(SCHEMA_STAMP) ;

# What ./capos schema makes of a schema, for the tests of it.
$(TESTS_SCHEMA): tests/schema/all.capnp $(CAPNPC) | $(SCHEMA_STAMP)
	@mkdir -p $(@D)
	capnp compile -I abi/schema -o- $< | $(CAPNPC) --source $< --c $@
	@touch $@

# The schema compiler, and everything generated from abi/schema. `make schema` brings build/gen and
# tools/abi up to date.

SCHEMA_SOURCES   := $(wildcard abi/schema/*.capnp)
CAPNPC_SOURCES   := $(filter-out %_test.go,$(wildcard tools/capnpc-capos/*.go)) tools/go.mod
CAPNPC           := build/tools/capnpc-capos
SCHEMA_STAMP     := build/gen/.stamp

.PHONY: schema
schema: $(SCHEMA_STAMP)

$(CAPNPC): $(CAPNPC_SOURCES)
	@mkdir -p $(@D)
	cd tools && env -u GOOS -u GOARCH -u GOFLAGS GOWORK=off CGO_ENABLED=0 $(or $(GO),go) build -buildvcs=false -trimpath \
		-o ../$@ ./capnpc-capos

# The compiler leaves unchanged outputs alone, so the stamp carries the time of the last run.
$(SCHEMA_STAMP): $(SCHEMA_SOURCES) $(CAPNPC)
	@mkdir -p build/gen tools/abi
	capnp compile -I abi/schema -o $(CAPNPC):build/gen $(SCHEMA_SOURCES)
	@cmp -s build/gen/go/host/abi.go tools/abi/abi.go || cp build/gen/go/host/abi.go tools/abi/abi.go
	@touch $@

# So that a rule can name a generated file as its prerequisite.
build/gen/include/capos/abi.h build/gen/kernel/methods.h build/gen/kernel/dispatch.c \
build/gen/libcapos/capos/stubs.h build/gen/libcapos/stubs.c build/gen/docs/reference.md \
build/gen/go/runtime/zabi_capos.go build/gen/go/syscall/zabi_capos.go: $(SCHEMA_STAMP) ;

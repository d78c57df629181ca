# Tests of the pure parts of the kernel and of libcapos as programs of this host, built with
# sanitizers, and short runs of fuzzers. `make host-test-GROUP` builds and runs a group, a directory
# of tests/host; `make -k host-tests` runs all. What runs prints "ok NAME", "FAIL NAME: why" or
# "skip NAME: why" lines, and a group fails when one of its programs does. SEED, FUZZ_RUNS and
# FUZZ_SECONDS replace what is set here.
#
# A group's variables: host_GROUP_FLAGS for the compiler, host_GROUP_TESTS and host_GROUP_FUZZERS
# for the programs, host_GROUP_TOOLS for programs that others run, host_GROUP_NEEDS for what must be
# there before anything is compiled. A program's, whose name is unique: host_PROGRAM_SOURCES are its
# files beside tests/host/GROUP/PROGRAM.c, host_PROGRAM_RUN what the environment of a run has,
# host_PROGRAM_ARGS its arguments, and host_PROGRAM_LIMITS a fuzzer's runs, seconds and length.

HOST_SANITIZERS := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
HOST_CFLAGS     := -std=gnu17 -g -O1 -Wall -Wextra -Werror $(HOST_SANITIZERS)
HOST_KERNEL     := -Ikernel -Ikernel/arch/x86_64/include -Ikernel/include \
	-Ibuild/gen/include -Ibuild/gen -Ibuild/gen/kernel
HOST_GROUPS     := boot call codec dev init libcapos mm object race sched

# What the loaders say, typed lines, the screen.
host_boot_FLAGS        := -fno-builtin-strlen -DCAPOS_HOST_TEST $(HOST_KERNEL) -Itests/host/call
host_boot_TESTS        := test_boot
host_boot_FUZZERS      := fuzz_boot
host_test_boot_SOURCES := kernel/core/boot_info.c kernel/machine/pc/multiboot.c \
	kernel/machine/pc/pvh.c kernel/dev/screen.c kernel/dev/line_input.c tests/host/boot/memory.c
host_fuzz_boot_SOURCES := $(host_test_boot_SOURCES)
host_test_boot_RUN     := ASAN_OPTIONS=detect_leaks=0
host_fuzz_boot_LIMITS  := 300000 20 4096

# The call layer and the pure parts of what loads programs: the capability table against a model,
# ChaCha20 vectors, boot image and ELF validation, ACPI tables, ring decoding with a thread that
# is not one, Console.read and HostShare.write, vector areas.
host_call_FLAGS   := -fno-builtin-strlen -DCAPOS_HOST_TEST -DCAPOS_DEBUG $(HOST_KERNEL) \
	-Ibuild/gen/tests
host_call_TESTS   := test_table test_parts test_ring test_console test_vector test_acpi
host_call_FUZZERS := fuzz_images fuzz_ring
host_call_parts   := kernel/core/chacha.c kernel/dev/command_line.c kernel/dev/rtc_time.c \
	kernel/dev/channel_input.c kernel/proc/elf.c kernel/proc/boot_image.c \
	kernel/machine/pc/acpi_tables.c
host_call_table   := kernel/cap/table.c kernel/sched/lease.c kernel/core/object.c \
	kernel/core/rbtree.c kernel/mm/budget.c
host_call_calls   := tests/host/call/kernel.c kernel/call/ring.c kernel/call/entry.c \
	kernel/call/decode.c kernel/call/message.c $(host_call_table) \
	build/gen/kernel/dispatch.c build/host/call/methods.c
host_test_table_SOURCES   := tests/host/call/kernel.c $(host_call_table)
host_test_parts_SOURCES   := tests/host/call/kernel.c $(host_call_parts) kernel/object/host_name.c
host_test_ring_SOURCES    := $(host_call_calls)
host_test_console_SOURCES := $(host_call_calls) kernel/object/console.c \
	kernel/object/host_share.c kernel/object/host_name.c
host_test_vector_SOURCES  := kernel/arch/x86_64/vector.c
host_test_acpi_SOURCES    := tests/host/call/kernel.c kernel/machine/pc/acpi_tables.c
host_fuzz_images_SOURCES  := $(host_call_parts)
host_fuzz_ring_SOURCES    := $(host_call_calls)
$(foreach p,$(host_call_TESTS) $(host_call_FUZZERS),\
	$(eval host_$p_RUN := ASAN_OPTIONS=detect_leaks=0))
host_fuzz_images_LIMITS   := 200000 20 16384
host_fuzz_ring_LIMITS     := 200000 20 2048

# The message codec. The schema compiler's own tests hold it to the capnp tool.
host_codec_FLAGS   := $(HOST_KERNEL)
host_codec_TESTS   := test_codec
host_codec_TOOLS   := codec_tool
host_codec_FUZZERS := fuzz_message
host_test_codec_SOURCES   := kernel/call/message.c kernel/call/decode.c \
	build/gen/kernel/dispatch.c build/host/codec/methods.c tests/host/codec/harness.c
host_codec_tool_SOURCES   := $(host_test_codec_SOURCES)
host_fuzz_message_SOURCES := $(host_test_codec_SOURCES)
host_fuzz_message_LIMITS  := 100000 20 512

# PCI and virtio on a simulated machine; the two halves of the host channel.
host_dev_FLAGS        := -DCAPOS_HOST_TEST -DCAPOS_DEBUG -Itests/host/dev/fake $(HOST_KERNEL) \
	-Itests/host/call
host_dev_TESTS        := test_dev test_channel test_device_queue
host_dev_FUZZERS      := fuzz_dev fuzz_channel fuzz_device_queue
host_test_dev_SOURCES := kernel/dev/pci.c kernel/dev/virtio.c kernel/dev/virtio_pci.c \
	tests/host/dev/machine.c
host_fuzz_dev_SOURCES := $(host_test_dev_SOURCES)
host_test_channel_SOURCES := kernel/dev/channel_output.c kernel/dev/channel_input.c \
	tests/host/dev/channel_pair.c tests/host/dev/machine.c
host_fuzz_channel_SOURCES := $(host_test_channel_SOURCES)
host_fuzz_channel_LIMITS  := 200000 20 4096
host_test_device_queue_SOURCES := kernel/dev/device_queue.c tests/host/dev/machine.c
host_fuzz_device_queue_SOURCES := $(host_test_device_queue_SOURCES)
host_fuzz_device_queue_LIMITS  := 100000 20 1024
host_test_device_queue_RUN     := ASAN_OPTIONS=detect_leaks=0
host_fuzz_device_queue_RUN     := ASAN_OPTIONS=detect_leaks=0
host_test_dev_RUN     := ASAN_OPTIONS=detect_leaks=0
host_fuzz_dev_LIMITS  := 300000 20 6000

# The parts of libcapos that need no kernel. They are compiled with other names, so that the host's
# C library is the yardstick; for the same reason only the headers below capos/ are on the path.
host_libcapos_FLAGS := -fno-builtin -Ilib/libc-mini/src -Ibuild/host/libcapos/include \
	-Ibuild/gen/include -Ibuild/gen/libcapos -Ibuild/gen/tests
host_libcapos_TESTS   := test_format test_malloc test_schema test_service
host_libcapos_TOOLS   := schema_tool
host_libcapos_FUZZERS := fuzz_schema
host_libcapos_NEEDS   := build/host/libcapos/include/capos build/gen/tests/all.capnp.h
host_test_format_SOURCES := lib/libc-mini/src/format.c lib/libc-mini/src/format_float.c \
	lib/libc-mini/src/string.c lib/libc-mini/src/malloc.c \
	tests/host/libcapos/no_system.c
host_test_malloc_SOURCES := lib/libc-mini/src/malloc.c lib/libc-mini/src/string.c
host_libcapos_schema := lib/capos/src/schema_decode.c lib/capos/src/schema_encode.c \
	lib/capos/src/schema_memory.c
host_test_schema_SOURCES := $(host_libcapos_schema)
host_test_schema_ARGS     = $(or $(SEED),1)
host_test_service_SOURCES := $(host_libcapos_schema) lib/capos/src/client.c lib/capos/src/serve.c
host_test_service_ARGS     = $(or $(SEED),1)
build/host/libcapos/test/lib/capos/src/client.o build/host/libcapos/test/lib/capos/src/serve.o: \
	HOST_FILE_FLAGS := -include tests/host/libcapos/release.h
host_schema_tool_SOURCES := $(host_libcapos_schema)
host_fuzz_schema_SOURCES := $(host_libcapos_schema)
host_fuzz_schema_LIMITS  := 200000 15 2048
host_libcapos_renamed := vsnprintf snprintf sprintf memcpy memmove memset memcmp memchr strlen \
	strnlen strcpy strncpy strcat strncat strlcpy strcmp strncmp strchr strrchr strstr strspn \
	strcspn strpbrk strtok_r strndup strdup malloc calloc realloc aligned_alloc \
	posix_memalign free
build/host/libcapos/test/lib/libc-mini/src/%.o: HOST_FILE_FLAGS := \
	$(foreach n,$(host_libcapos_renamed),-D$n=capos_$n)

# init's look at the packed manifest, and the lines of consoled.
host_init_FLAGS := -Iservices/init -Iservices/consoled -Ibuild/host/libcapos/include \
	-Ibuild/gen/include -Ibuild/gen/libcapos
host_init_TESTS := test_manifest test_lines
host_test_lines_SOURCES := services/consoled/lines.c
host_init_NEEDS := build/host/libcapos/include/capos
host_test_manifest_SOURCES := services/init/manifest.c

# The kernel's memory management on a simulated machine whose TLB forgets nothing by itself. host.c
# puts functions of its own in front of the renamed ones.
host_mm_FLAGS   := -DCAPOS_HOST_TEST -DCAPOS_DEBUG $(HOST_KERNEL)
host_mm_TESTS   := test_rbtree test_frame test_space test_aspace
host_mm_FUZZERS := fuzz_aspace
host_mm_parts   := kernel/core/rbtree.c kernel/core/object.c kernel/mm/frame.c kernel/mm/kmem.c \
	kernel/mm/ledger.c kernel/mm/budget.c kernel/mm/region.c kernel/mm/aspace.c \
	kernel/mm/populate.c kernel/arch/x86_64/paging.c kernel/mm/memory_object.c \
	kernel/mm/lease_map.c \
	tests/host/mm/host.c
$(foreach p,test_rbtree test_frame test_space,$(eval host_$p_SOURCES := $(host_mm_parts)))
$(foreach p,test_aspace fuzz_aspace,\
	$(eval host_$p_SOURCES := $(host_mm_parts) tests/host/mm/model.c))
$(foreach p,$(host_mm_TESTS),$(eval host_$p_ARGS = $(or $(SEED),1)))
host_fuzz_aspace_LIMITS := -1 5 4096
build/host/mm/%/kernel/mm/frame.o: HOST_FILE_FLAGS := -Dframe_take=frame_take_real \
	-Dframe_give=frame_give_real -Dframes_reserve=frames_reserve_real
build/host/mm/%/kernel/mm/kmem.o: HOST_FILE_FLAGS := -Dkmem_alloc=kmem_alloc_real

# Mistakes that must not compile with the kernel's flags. The file's conditions name them. Each must
# give errors in the line below its condition and in no other; without a mistake there is none.
host_mistake_flags = $(filter-out -fcallgraph-info=%,$(KERNEL_FLAGS)) \
	-Wno-unused-parameter -fsyntax-only
host-test-mm: host-run-wrong_user_ptr
.PHONY: host-run-wrong_user_ptr
host-run-wrong_user_ptr: tests/host/mm/wrong_user_ptr.c | $(SCHEMA_STAMP)
	@mkdir -p build/host/mm; log=build/host/mm/wrong_user_ptr.log; status=0; \
	compile() { LC_ALL=C $(KERNEL_CC) $(host_mistake_flags) -DWRONG=$$1 $< >$$log 2>&1; }; \
	if compile 0; then echo "ok mm user_ptr_used_rightly"; \
	else cat $$log >&2; echo "FAIL mm user_ptr_used_rightly"; status=1; fi; \
	mistakes=$$(sed -n 's,^#\(el\)*if WRONG == \([0-9]*\) /\* \(.*\) \*/$$,\2:\3,p' $<); \
	for mistake in $${mistakes:-0:no_mistake_found}; do \
		number=$${mistake%%:*}; name=$${mistake#*:}; \
		line=$$(($$(grep -n "WRONG == $$number " $< | cut -d: -f1) + 1)); \
		if compile $$number; then echo "FAIL mm $$name: it compiles"; status=1; \
		elif grep ': error: ' $$log | grep -qv "^$<:$$line:"; then \
			cat $$log >&2; echo "FAIL mm $$name: another error"; status=1; \
		else echo "ok mm $$name"; fi; \
	done; exit $$status

# The ring of bytes of a pipe.
host_object_FLAGS   := -DCAPOS_HOST_TEST -DCAPOS_DEBUG $(HOST_KERNEL) -Itests/host/call
host_object_TESTS   := test_pipe_ring
host_object_FUZZERS := fuzz_pipe_ring
host_test_pipe_ring_SOURCES := tests/host/call/kernel.c
host_fuzz_pipe_ring_SOURCES := tests/host/call/kernel.c
$(foreach p,$(host_object_TESTS) $(host_object_FUZZERS),\
	$(eval host_$p_RUN := ASAN_OPTIONS=detect_leaks=0))
host_fuzz_pipe_ring_LIMITS := 200000 20 512

# The race detector of Go programs against a model.
host_race_FLAGS        := -fno-builtin -I. -Itests/host/call -pthread -Wno-missing-prototypes
host_race_TESTS        := test_race
host_test_race_SOURCES := $(RACE_SOURCES)
host_test_race_RUN     := ASAN_OPTIONS=detect_leaks=0
host_test_race_ARGS     = $(or $(SEED),1)

# Shares of a CPU.
host_sched_FLAGS        := -DCAPOS_HOST_TEST -DCAPOS_DEBUG $(HOST_KERNEL) -Itests/host/call
host_sched_TESTS        := test_share
host_test_share_SOURCES := kernel/sched/share.c kernel/core/rbtree.c
host_test_share_ARGS     = $(or $(SEED),1)

# The tables of methods name every method; here those that a test has no use for are never called.
build/host/call/methods.c: $(SCHEMA_STAMP) tests/host/host.mk
	@mkdir -p $(@D)
	@{ echo '#include "kernel/methods.h"'; \
	sed -n 's/^status_t method_\([a-z0-9_]*\)(struct call .*/\1/p' \
		build/gen/kernel/methods.h | while read -r method; do \
		echo "__attribute__((weak)) status_t method_$$method(struct call *call,"; \
		echo "const struct $${method}_params *in, struct $${method}_results *out)"; \
		echo "{ (void)call; (void)in; (void)out; return STATUS(UNIMPLEMENTED); }"; \
	done; } >$@

build/host/codec/methods.c: $(SCHEMA_STAMP) tests/host/host.mk
	@mkdir -p $(@D)
	@{ echo '#define UNUSED_METHOD(name) int name(void); int name(void) { return 0; }'; \
	sed -n 's/^status_t \(method_[a-z0-9_]*\)(.*/UNUSED_METHOD(\1)/p' \
		build/gen/kernel/methods.h; } >$@

build/host/libcapos/include/capos: lib/capos/include/capos
	@mkdir -p $(@D)
	@ln -sfn $(CURDIR)/$< $@

# Every other goal is spared what this takes: a compiler is asked, and many files are read.
ifneq ($(filter host-% build/host/%,$(MAKECMDGOALS)),)
HOST_FUZZ_LIBRARY := $(wildcard $(shell clang-19 -print-file-name=libclang_rt.fuzzer-x86_64.a 2>&1))

# $(1): group, $(2): test or fuzz, $(3): compiler and its flags, $(4): programs
define HOST_PROGRAMS
host_$(1)_$(2)_objects := $$(sort $$(foreach p,$(4),$$(patsubst %.c,build/host/$(1)/$(2)/%.o,\
	tests/host/$(1)/$$p.c $$(host_$$p_SOURCES))))

build/host/$(1)/$(2)/%.o: %.c tests/host/host.mk | $$(SCHEMA_STAMP) $(5)
	@mkdir -p $$(@D)
	@$(3) $$(HOST_CFLAGS) $$(host_$(1)_FLAGS) -Itests/host/$(1) $$(HOST_FILE_FLAGS) -MMD -MP \
		-c -o $$@ $$<

-include $$(host_$(1)_$(2)_objects:.o=.d)
$$(foreach p,$(4),$$(eval $$(call HOST_PROGRAM,$(1),$(2),$(3),$$p)))
endef

define HOST_PROGRAM
build/host/$(1)/$(4): $$(patsubst %.c,build/host/$(1)/$(2)/%.o,tests/host/$(1)/$(4).c \
	$$(host_$(4)_SOURCES))
	@$(3) $$(HOST_SANITIZERS) -o $$@ $$^ -lm
endef

# $(1): group, $(2): program
define HOST_TEST
.PHONY: host-run-$(2)
host-test-$(1): host-run-$(2)
host-run-$(2): build/host/$(1)/$(2)
	@$$(host_$(2)_RUN) $$< $$(host_$(2)_ARGS) || \
		{ echo "FAIL $(1) $(2): it ends with status $$$$?"; exit 1; }
endef

define HOST_FUZZ
.PHONY: host-run-$(2)
host-test-$(1): host-run-$(2)
host-run-$(2): $$(if $$(HOST_FUZZ_LIBRARY),build/host/$(1)/$(2))
ifeq ($$(HOST_FUZZ_LIBRARY),)
	@echo "skip $(1) $(2): needs clang-19 and libclang-rt-19-dev"
else
	@mkdir -p build/host/$(1)/corpus-$(2)
	@if $$(host_$(2)_RUN) $$< -runs=$$(or $$(FUZZ_RUNS),$$(word 1,$$(host_$(2)_LIMITS))) \
		-max_total_time=$$(or $$(FUZZ_SECONDS),$$(word 2,$$(host_$(2)_LIMITS))) \
		-max_len=$$(word 3,$$(host_$(2)_LIMITS)) -verbosity=0 \
		-artifact_prefix=build/host/$(1)/ build/host/$(1)/corpus-$(2) >$$<.log 2>&1; \
	then echo "ok $(1) $(2)"; \
	else echo "FAIL $(1) $(2)"; tail -30 $$<.log >&2; exit 1; fi
endif
endef

define HOST_GROUP
.PHONY: host-test-$(1)
$(call HOST_PROGRAMS,$(1),test,gcc,$(host_$(1)_TESTS) $(host_$(1)_TOOLS),$(2))
$(call HOST_PROGRAMS,$(1),fuzz,clang-19 -fsanitize=fuzzer,$(host_$(1)_FUZZERS),$(2))
$(foreach p,$(host_$(1)_TESTS),$(eval $(call HOST_TEST,$(1),$p)))
$(foreach p,$(host_$(1)_FUZZERS),$(eval $(call HOST_FUZZ,$(1),$p)))
endef

$(foreach g,$(HOST_GROUPS),$(eval $(call HOST_GROUP,$g,$(host_$g_NEEDS))))
endif

.PHONY: host-tests host-run-schema
host-tests: $(HOST_GROUPS:%=host-test-%)

# The tests of the schema compiler, with the codec as a program to ask.
host-test-codec: host-run-schema
host-run-schema: build/host/codec/codec_tool build/host/libcapos/schema_tool
	@(cd tools && CODEC_TOOL=$(CURDIR)/$< SCHEMA_TOOL=$(CURDIR)/$(lastword $^) \
		$(HOST_GO) test -v ./capnpc-capos) \
		>build/host/codec/go.log 2>&1; status=$$?; \
	sed -n -e 's/^ *--- PASS: \(.*\) (.*/ok schema \1/p' \
		-e 's/^ *--- FAIL: \(.*\) (.*/FAIL schema \1/p' build/host/codec/go.log; \
	[ $$status = 0 ] || { grep -v '^=== \|--- PASS' build/host/codec/go.log >&2; exit 1; }

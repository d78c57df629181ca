# Builds the kernel four times over: build/kernel (release), build/kernel-debug (assertions, lock
# ranks, poisoned memory, every access and every operation with an undefined case checked:
# core/kasan.c, core/ubsan.c; selftest= proves it), build/kernel-explore (a seed chooses what the
# kernel is free to choose: sched/explore.h) and build/kernel-race (that, and data races are found:
# core/kcsan.c). Two link passes: the second carries the symbol table made from the first.

KERNEL_ARCH := kernel/arch/x86_64
KERNEL_MACHINE := kernel/machine/pc
include $(KERNEL_ARCH)/arch.mk

KERNEL_SOURCES := $(filter-out $(KERNEL_ARCH)/offsets.c,$(wildcard kernel/*/*.c \
	$(KERNEL_ARCH)/*.[cS] $(KERNEL_MACHINE)/*.[cS]))
# Debug information is three quarters of the file. No report names columns, and each type is there
# once.
KERNEL_FLAGS := -std=gnu17 -O2 -g -gno-column-info -gno-variable-location-views \
	-fdebug-types-section -ffreestanding -fno-pic $(KERNEL_ARCH_FLAGS) \
	-fno-omit-frame-pointer -fno-strict-aliasing -fno-asynchronous-unwind-tables \
	-fstack-protector-strong -fcallgraph-info=su -Wall -Wextra -Werror \
	-Ikernel -I$(KERNEL_ARCH)/include -Ikernel/include -Ibuild/gen/include \
	-Ibuild/gen -Ibuild/gen/kernel
KERNEL_LD_FLAGS := -nostdlib -static -no-pie -Wl,-T,$(KERNEL_ARCH)/linker.ld \
	-Wl,--build-id=none $(KERNEL_ARCH_LD_FLAGS) -Wl,-z,noexecstack \
	-Wl,--fatal-warnings -Wl,--compress-debug-sections=zlib
# With checks inside, gcc no longer follows some values and warns of cases that cannot be; the
# release build has the warnings.
KERNEL_DEBUG_FLAGS := -DCAPOS_DEBUG -DCAPOS_KASAN -fsanitize=kernel-address \
	--param asan-instrumentation-with-call-threshold=0 --param asan-stack=0 \
	--param asan-globals=1 -fsanitize=undefined -fno-sanitize-recover=undefined \
	-Wno-maybe-uninitialized -Wno-array-bounds -Wno-stringop-overflow
KERNEL_EXPLORE_FLAGS := -DCAPOS_EXPLORE -include kernel/core/turns.h
# Each access and each atomic operation is told: core/kcsan.c. gcc warns of fences, which it does
# not follow; an atomic operation is one here.
KERNEL_RACE_FLAGS := $(KERNEL_EXPLORE_FLAGS) -DCAPOS_KCSAN -fsanitize=thread \
	--param tsan-distinguish-volatile=1 --param tsan-instrument-func-entry-exit=0 -Wno-tsan
# Code that runs at boot, for a person or in a panic is compiled for its size.
KERNEL_SMALL := arch/x86_64/cpu arch/x86_64/kernel_map call/trace core/boot_info core/format \
	core/log debug/panic debug/symbols dev/command_line dev/devices dev/entropy dev/line_input \
	dev/pci dev/rtc dev/rtc_time dev/screen dev/terminal dev/uart dev/virtio_mmio \
	dev/virtio_pci dev/virtio_rng init/look init/main init/run init/selftest \
	machine/pc/acpi machine/pc/acpi_tables machine/pc/hpet machine/pc/machine \
	machine/pc/multiboot machine/pc/pvh machine/pc/smp object/boot_image object/host_name \
	object/host_share object/system_info object/process_load object/process_look \
	proc/boot_image proc/elf proc/fault proc/reaper
# The path of a call between processes does not return: it need not keep registers for its callers.
# RBP stays 0 there, where a backtrace ends.
KERNEL_LEAVES := object/endpoint_direct arch/x86_64/hand_over
KERNEL_LEAVES_FLAGS := -fomit-frame-pointer -ffixed-rbp -fcall-used-rbx -fcall-used-r12 \
	-fcall-used-r13 -fcall-used-r14 -fcall-used-r15
# What runs while free memory is worked on, and what checks whole ranges.
KERNEL_UNCHECKED := core/string mm/frame mm/kmem
# A check that fails in what reports would call itself.
KERNEL_CHECKERS := core/kasan core/ubsan
KERNEL_GENERATED := build/gen/include/capos/abi.h build/gen/kernel/dispatch.c

# $(1): output directory, $(2): further flags
define KERNEL_BUILD
$(1)_OBJECTS := $$(patsubst kernel/%,$(1)/%.o,$$(KERNEL_SOURCES)) $(1)/gen/dispatch.c.o

$(1)/offsets.h: $(KERNEL_ARCH)/offsets.c $$(KERNEL_GENERATED) \
	$$(shell find kernel -name "*.h")
	@mkdir -p $$(@D)
	@$$(KERNEL_CC) $$(KERNEL_FLAGS) $(2) -S -o $(1)/offsets.s $$<
	@sed -n 's/^@define /#define /p' $(1)/offsets.s > $$@

$(1)/%.c.o: kernel/%.c kernel/kernel.mk $$(KERNEL_GENERATED)
	@mkdir -p $$(@D)
	@$$(KERNEL_CC) $$(KERNEL_FLAGS) $(2) $$(KERNEL_FILE_FLAGS) -MMD -MP -c -o $$@ $$<

$(1)/%.S.o: kernel/%.S kernel/kernel.mk $(1)/offsets.h
	@mkdir -p $$(@D)
	@$$(KERNEL_CC) $$(KERNEL_FLAGS) $(2) -I$(1) -MMD -MP -c -o $$@ $$<

$(1)/gen/dispatch.c.o: build/gen/kernel/dispatch.c
	@mkdir -p $$(@D)
	@$$(KERNEL_CC) $$(KERNEL_FLAGS) $(2) -MMD -MP -c -o $$@ $$<

$(1)/capos.elf: $$($(1)_OBJECTS) $(KERNEL_ARCH)/linker.ld kernel/symbols.awk
	@echo "  LINK    $$@"
	@awk -f kernel/symbols.awk < /dev/null > $(1)/symbols0.S
	@$$(KERNEL_CC) $$(KERNEL_FLAGS) $$(KERNEL_LD_FLAGS) -o $(1)/pass1.elf \
		$$($(1)_OBJECTS) $(1)/symbols0.S
	@nm -n $(1)/pass1.elf | awk -f kernel/symbols.awk > $(1)/symbols.S
	@$$(KERNEL_CC) $$(KERNEL_FLAGS) $$(KERNEL_LD_FLAGS) -o $$@.tmp $$($(1)_OBJECTS) \
		$(1)/symbols.S
	@mv $$@.tmp $$@

-include $$($(1)_OBJECTS:.o=.d)
endef

$(eval $(call KERNEL_BUILD,build/kernel,))
$(eval $(call KERNEL_BUILD,build/kernel-debug,$(KERNEL_DEBUG_FLAGS)))
$(eval $(call KERNEL_BUILD,build/kernel-explore,$(KERNEL_EXPLORE_FLAGS)))
$(eval $(call KERNEL_BUILD,build/kernel-race,$(KERNEL_RACE_FLAGS)))

# A name without its file would choose nothing, and the flags would be lost when a file moves.
$(foreach name,$(KERNEL_SMALL) $(KERNEL_LEAVES) $(KERNEL_UNCHECKED) $(KERNEL_CHECKERS),\
	$(if $(wildcard kernel/$(name).c),,\
	$(error kernel/kernel.mk names kernel/$(name).c, which is not there)))
$(foreach d,kernel kernel-explore,$(KERNEL_SMALL:%=build/$(d)/%.c.o)): KERNEL_FILE_FLAGS := -Os
$(foreach d,kernel kernel-explore,$(KERNEL_LEAVES:%=build/$(d)/%.c.o)): \
	KERNEL_FILE_FLAGS := $(KERNEL_LEAVES_FLAGS)
build/kernel-explore/proc/explore.c.o: KERNEL_FILE_FLAGS := -DCAPOS_EXPLORE_ITSELF
build/kernel-race/proc/explore.c.o build/kernel-race/core/kcsan.c.o: KERNEL_FILE_FLAGS := \
	-DCAPOS_EXPLORE_ITSELF -fno-sanitize=thread
$(KERNEL_UNCHECKED:%=build/kernel-race/%.c.o): KERNEL_FILE_FLAGS := -fno-sanitize=thread
$(KERNEL_UNCHECKED:%=build/kernel-debug/%.c.o): KERNEL_FILE_FLAGS := -fno-sanitize=kernel-address
$(KERNEL_CHECKERS:%=build/kernel-debug/%.c.o): KERNEL_FILE_FLAGS := -fno-sanitize=all

.PHONY: kernel kernel-debug kernel-explore kernel-race
kernel: build/kernel/capos.elf
kernel-debug: build/kernel-debug/capos.elf
kernel-explore: build/kernel-explore/capos.elf
kernel-race: build/kernel-race/capos.elf

# The C library: build/libcapos/libcapos.a and crt0.o, built by clang; `make libcapos-gcc` builds
# the same with gcc in build/libcapos-gcc. Programs of either compiler link with either.

LIBCAPOS_CLANG ?= clang-19
LIBCAPOS_GCC   ?= gcc

LIBCAPOS_SOURCES := $(filter-out libcapos/src/crt0.S,$(wildcard libcapos/src/*.c libcapos/src/*.S))
LIBCAPOS_NAMES   := $(basename $(notdir $(LIBCAPOS_SOURCES))) stubs

LIBCAPOS_CFLAGS := -std=gnu17 -O2 -g -Wall -Wextra -Werror -ffreestanding -fno-strict-aliasing \
	-ffunction-sections -fdata-sections -fno-omit-frame-pointer -Ilibcapos/src

LIBCAPOS_CLANG_FLAGS := --config libcapos/x86_64-unknown-capos.cfg
LIBCAPOS_GCC_FLAGS = $(shell libcapos/capos-cc --print-gcc-flags $(LIBCAPOS_GCC))

.PHONY: libcapos libcapos-gcc
libcapos: build/libcapos/libcapos.a build/libcapos/crt0.o
libcapos-gcc: build/libcapos-gcc/libcapos.a build/libcapos-gcc/crt0.o

# The functions that compilers call by themselves must not be turned into calls of themselves.
build/libcapos/string.o: LIBCAPOS_CFLAGS += -fno-builtin
build/libcapos-gcc/string.o: LIBCAPOS_CFLAGS += -fno-builtin -fno-tree-loop-distribute-patterns

define LIBCAPOS_RULES
$(1)/%.o: libcapos/src/%.c libcapos/libcapos.mk libcapos/x86_64-unknown-capos.cfg | $$(SCHEMA_STAMP)
	@mkdir -p $$(@D)
	$(2) $$(LIBCAPOS_CFLAGS) -MMD -MP -c $$< -o $$@

$(1)/%.o: libcapos/src/%.S libcapos/libcapos.mk libcapos/x86_64-unknown-capos.cfg | $$(SCHEMA_STAMP)
	@mkdir -p $$(@D)
	$(2) -g -MMD -MP -c $$< -o $$@

$(1)/stubs.o: build/gen/libcapos/stubs.c libcapos/libcapos.mk libcapos/x86_64-unknown-capos.cfg
	@mkdir -p $$(@D)
	$(2) $$(LIBCAPOS_CFLAGS) -MMD -MP -c $$< -o $$@

$(1)/libcapos.a: $$(LIBCAPOS_NAMES:%=$(1)/%.o)
	@rm -f $$@
	ar rcs $$@ $$^

-include $$(LIBCAPOS_NAMES:%=$(1)/%.d) $(1)/crt0.d
endef

$(eval $(call LIBCAPOS_RULES,build/libcapos,$$(LIBCAPOS_CLANG) $$(LIBCAPOS_CLANG_FLAGS)))
$(eval $(call LIBCAPOS_RULES,build/libcapos-gcc,$$(LIBCAPOS_GCC) $$(LIBCAPOS_GCC_FLAGS)))

# The C libraries of programs: libcapos (start-up, calls, threads), libc-mini (the C library), and
# crt0.o, in build/lib by clang; `make lib-gcc` builds the same with gcc in build/lib-gcc. Programs
# of either compiler link with either. `make lib-explore` builds those of ./capos explore, whose
# calls are decision points (docs/explore.md).

LIB_CLANG ?= clang-19
LIB_GCC   ?= gcc

LIB_capos     := $(filter-out lib/capos/src/crt0.S,$(wildcard lib/capos/src/*.[cS]))
LIB_libc-mini := $(wildcard lib/libc-mini/src/*.c)
LIB_PARTS     := capos libc-mini

LIB_CFLAGS := -std=gnu17 -O2 -g -Wall -Wextra -Werror -ffreestanding -fno-strict-aliasing \
	-ffunction-sections -fdata-sections -fno-omit-frame-pointer

LIB_CLANG_FLAGS := --config lib/capos/x86_64-unknown-capos.cfg
LIB_GCC_FLAGS = $(shell lib/capos/capos-cc --print-gcc-flags $(LIB_GCC))

LIB_FILES := libcapos.a libc-mini.a crt0.o

.PHONY: lib lib-gcc lib-explore
lib: $(LIB_FILES:%=build/lib/%)
lib-explore: $(LIB_FILES:%=build/lib-explore/%)
lib-gcc: $(LIB_FILES:%=build/lib-gcc/%)

# The functions that compilers call by themselves must not be turned into calls of themselves.
build/lib/libc-mini/string.o: LIB_CFLAGS += -fno-builtin
build/lib-explore/libc-mini/string.o: LIB_CFLAGS += -fno-builtin
build/lib-gcc/libc-mini/string.o: LIB_CFLAGS += -fno-builtin -fno-tree-loop-distribute-patterns

# LIB_PART DIRECTORY COMPILER PART: the objects of one library.
define LIB_PART
$(1)/$(3)/%.o: lib/$(3)/src/%.c lib/lib.mk lib/capos/x86_64-unknown-capos.cfg | $$(SCHEMA_STAMP)
	@mkdir -p $$(@D)
	$(2) $$(LIB_CFLAGS) -MMD -MP -c $$< -o $$@

$(1)/$(3)/%.o: lib/$(3)/src/%.S lib/lib.mk lib/capos/x86_64-unknown-capos.cfg | $$(SCHEMA_STAMP)
	@mkdir -p $$(@D)
	$(2) -g -MMD -MP -c $$< -o $$@

$(1)/lib$(3:libc-mini=c-mini).a: $$(patsubst %,$(1)/$(3)/%.o,$$(basename $$(notdir $$(LIB_$(3)))))
	@rm -f $$@
	ar rcs $$@ $$^

-include $$(patsubst %,$(1)/$(3)/%.d,$$(basename $$(notdir $$(LIB_$(3)))))
endef

define LIB_RULES
$(foreach part,$(LIB_PARTS),$(call LIB_PART,$(1),$(2),$(part))
)
$(1)/crt0.o: $(1)/capos/crt0.o
	@cp $$< $$@

$(1)/capos/stubs.o: build/gen/libcapos/stubs.c lib/lib.mk lib/capos/x86_64-unknown-capos.cfg
	@mkdir -p $$(@D)
	$(2) $$(LIB_CFLAGS) -Ilib/capos/src -MMD -MP -c $$< -o $$@

$(1)/libcapos.a: $(1)/capos/stubs.o
-include $(1)/capos/stubs.d $(1)/capos/crt0.d
endef

$(eval $(call LIB_RULES,build/lib,$$(LIB_CLANG) $$(LIB_CLANG_FLAGS)))
$(eval $(call LIB_RULES,build/lib-gcc,$$(LIB_GCC) $$(LIB_GCC_FLAGS)))
$(eval $(call LIB_RULES,build/lib-explore,$$(LIB_CLANG) $$(LIB_CLANG_FLAGS) -DCAPOS_EXPLORE))

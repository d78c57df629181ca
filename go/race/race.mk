# The race detector of Go programs that are built with -race: one object without libraries, which
# goport puts into the Go toolchain, and which Go's linker takes in by itself. It needs no
# relocations but those relative to the program counter.

RACE_SOURCES := $(wildcard go/race/*.c)
RACE_OBJECTS := $(RACE_SOURCES:go/race/%.c=build/race/%.o)
RACE_FLAGS   := -std=gnu17 -O2 -ffreestanding -fno-builtin -fno-tree-loop-distribute-patterns \
	-fpie -fno-jump-tables -fno-stack-protector -fcf-protection=none \
	-fno-asynchronous-unwind-tables -fno-ident -Wall -Wextra -Werror

build/race/%.o: go/race/%.c go/race/race.h go/race/race.mk
	@mkdir -p $(@D)
	@gcc $(RACE_FLAGS) -c $< -o $@

build/race/race.syso: $(RACE_OBJECTS)
	@ld -r -o $@ $^

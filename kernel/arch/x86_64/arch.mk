# How the kernel is compiled and linked for x86-64. kernel/kernel.mk includes this.

KERNEL_CC ?= gcc
# Code at the top 2 GiB, interrupts on the stack that is in use, and no vector registers.
KERNEL_ARCH_FLAGS := -mcmodel=kernel -mno-red-zone -mgeneral-regs-only \
	-mstack-protector-guard=global -falign-loops=1 -falign-jumps=1 -falign-labels=1
KERNEL_ARCH_LD_FLAGS := -Wl,-z,max-page-size=4096

/* Macros of the assembly files. Every function carries its symbol type and size, so that traces and
 * debuggers see it. */
#ifndef CAPOS_ARCH_ASM_H
#define CAPOS_ARCH_ASM_H

#include "arch/impl/layout.h"

#define FUNCTION(name)         \
	.globl name;           \
	.type name, @function; \
	.balign 16;            \
	name:
#define END(name) .size name, .- name

#define SELECTOR_KERNEL_CODE 0x08
#define SELECTOR_KERNEL_DATA 0x10
#define SELECTOR_USER_DATA 0x23
#define SELECTOR_USER_CODE 0x2b
#define SELECTOR_TSS 0x30

/* Where application processors begin: the page a start-up IPI names. */
#define TRAMPOLINE 0x8000

/* The frame's vector of an entry by SYSCALL. */
#define VECTOR_SYSCALL 256

#endif

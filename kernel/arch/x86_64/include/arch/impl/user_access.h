/* See arch/user_access.h. usercopy.S has the accesses. */
#ifndef CAPOS_ARCH_IMPL_USER_ACCESS_H
#define CAPOS_ARCH_IMPL_USER_ACCESS_H

#include "arch/impl/x86.h"

/* SMAP forbids the kernel's accesses to user pages unless AC is set. */
static inline void user_access_begin(void)
{
	if (cpu_features.smap)
		__asm__ volatile("stac" : : : "memory", "cc");
}

static inline void user_access_end(void)
{
	if (cpu_features.smap)
		__asm__ volatile("clac" : : : "memory", "cc");
}

#endif

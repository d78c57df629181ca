/* See arch/context.h. The user's GS base waits in KERNEL_GS_BASE while the kernel runs; without
 * FSGSBASE a program cannot set one. */
#ifndef CAPOS_ARCH_IMPL_CONTEXT_H
#define CAPOS_ARCH_IMPL_CONTEXT_H

#include "arch/impl/x86.h"

#define VECTOR_ALIGNMENT 64u

struct user_context {
	uint64_t thread_pointer; /* the base of FS */
	uint64_t gs_base;
	void *vectors;
};

static inline uint64_t thread_pointer_read(void)
{
	uint64_t base;
	if (__builtin_expect(!cpu_features.fsgsbase, 0))
		return rdmsr(MSR_FS_BASE);
	__asm__ volatile("rdfsbase %0" : "=r"(base));
	return base;
}

static inline void thread_pointer_write(uint64_t address)
{
	if (__builtin_expect(cpu_features.fsgsbase, 1))
		__asm__ volatile("wrfsbase %0" : : "r"(address));
	else
		wrmsr(MSR_FS_BASE, address);
}

static inline void vector_save(void *area)
{
	if (cpu_features.xsave)
		__asm__ volatile("xsave64 (%0)" : : "r"(area), "a"(-1), "d"(-1) : "memory");
	else
		__asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
}

static inline void vector_load(const void *area)
{
	if (cpu_features.xsave)
		__asm__ volatile("xrstor64 (%0)" : : "r"(area), "a"(-1), "d"(-1) : "memory");
	else
		__asm__ volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
}

/* With FSGSBASE and XSAVE, as almost everywhere. The user's GS base is the current one between two
 * SWAPGS, which are quicker than access to its register. */
static inline void user_context_save_quick(struct user_context *context)
{
	uint64_t base;
	__asm__ volatile("rdfsbase %0" : "=r"(base));
	context->thread_pointer = base;
	__asm__ volatile("swapgs\n\trdgsbase %0\n\tswapgs" : "=r"(base) : : "memory");
	context->gs_base = base;
	__asm__ volatile("xsave64 (%0)" : : "r"(context->vectors), "a"(-1), "d"(-1) : "memory");
}

static inline void user_context_load_quick(const struct user_context *context)
{
	__asm__ volatile("wrfsbase %0" : : "r"(context->thread_pointer));
	__asm__ volatile("swapgs\n\twrgsbase %0\n\tswapgs" : : "r"(context->gs_base) : "memory");
	__asm__ volatile("xrstor64 (%0)" : : "r"(context->vectors), "a"(-1), "d"(-1) : "memory");
}

static inline void user_context_save(struct user_context *context)
{
	if (__builtin_expect(cpu_features.quick_context, 1)) {
		user_context_save_quick(context);
		return;
	}
	context->thread_pointer = thread_pointer_read();
	context->gs_base = cpu_features.fsgsbase ? rdmsr(MSR_KERNEL_GS_BASE) : 0;
	vector_save(context->vectors);
}

static inline void user_context_load(const struct user_context *context)
{
	if (__builtin_expect(cpu_features.quick_context, 1)) {
		user_context_load_quick(context);
		return;
	}
	thread_pointer_write(context->thread_pointer);
	if (cpu_features.fsgsbase)
		wrmsr(MSR_KERNEL_GS_BASE, context->gs_base);
	vector_load(context->vectors);
}

#endif

/* The functions of arch/x86_64 for other parts of the kernel, beyond what arch/ declares. */
#ifndef CAPOS_ARCH_ARCH_H
#define CAPOS_ARCH_ARCH_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/cpu.h"
#include "arch/impl/x86.h"
#include "arch/x86_64/trap_frame.h"
#include "arch/address.h"

/* cpu.c: logs the contents of this CPU's machine-check banks. */
void machine_check_print(void);

/* kernel_map.c */
extern uint64_t kernel_pml4[512];

/* vector.c: vector state (x87, SSE, AVX) of a thread in an area of vector_size() bytes, 64-byte
 * aligned. */
uint32_t vector_size(void);
void vector_init_area(void *area);
void vector_save(void *area);
void vector_load(const void *area);
/* Makes an area that came from a program safe to load; false when that is impossible. */
bool vector_sanitize(void *area);

/* entry.S */
void switch_context(uint64_t *save_rsp, uint64_t load_rsp);
void thread_begin(void);
void entry_syscall(void);

#define MSR_FS_BASE 0xc0000100u
#define MSR_KERNEL_GS_BASE 0xc0000102u

/* FS and GS bases of the running thread. The user's GS base waits in KERNEL_GS_BASE while the
 * kernel runs; without FSGSBASE a program cannot set one. */
static inline uint64_t fs_base_read(void)
{
	uint64_t base;
	if (__builtin_expect(!cpu_features.fsgsbase, 0))
		return rdmsr(MSR_FS_BASE);
	__asm__ volatile("rdfsbase %0" : "=r"(base));
	return base;
}

static inline void fs_base_write(uint64_t base)
{
	if (__builtin_expect(cpu_features.fsgsbase, 1))
		__asm__ volatile("wrfsbase %0" : : "r"(base));
	else
		wrmsr(MSR_FS_BASE, base);
}

static inline uint64_t user_gs_base_read(void)
{
	return cpu_features.fsgsbase ? rdmsr(MSR_KERNEL_GS_BASE) : 0;
}

static inline void user_gs_base_write(uint64_t base)
{
	if (cpu_features.fsgsbase)
		wrmsr(MSR_KERNEL_GS_BASE, base);
}

#endif

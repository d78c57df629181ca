/* What the implementation of the contract, and machine/pc, know of the processor: its features and
 * its own registers. Any context. */
#ifndef CAPOS_ARCH_IMPL_X86_H
#define CAPOS_ARCH_IMPL_X86_H

#include <stdbool.h>
#include <stdint.h>

#include <capos/abi.h>

#define MSR_EFER 0xc0000080u
#define MSR_FS_BASE 0xc0000100u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define EFER_SCE 1u
#define EFER_NXE 0x800u
#define MSR_PAT 0x277u
/* What the bits PAT, PCD and PWT of an entry choose (SDM 12.12), from the lowest byte: write-back,
 * write-combining, uncached unless the range registers say otherwise, uncached; and the same again,
 * with write-through in the place of write-combining. But for the second it is the value at reset.
 */
#define PAT_VALUE 0x0007040600070106ul

struct cpu_features {
	bool nx, smep, smap, umip, fsgsbase, xsave, x2apic, tsc_deadline, page1g, rdrand, rdseed,
		invariant_tsc, pge, mce, pat;
	bool quick_context;    /* fsgsbase and xsave */
	uint8_t mc_first_bank; /* of the machine-check banks that are the kernel's to enable */
	uint32_t xsave_size;   /* bytes of the area for the enabled components */
	uint64_t xsave_mask;
};
extern struct cpu_features cpu_features;

static inline uint64_t rdtsc(void)
{
	uint32_t a, d;
	__asm__ volatile("rdtsc" : "=a"(a), "=d"(d));
	return (uint64_t)d << 32 | a;
}
static inline void cpuid(uint32_t leaf, uint32_t sub, uint32_t r[4])
{
	__asm__ volatile("cpuid"
		: "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
		: "a"(leaf), "c"(sub));
}

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t a, d;
	__asm__ volatile("rdmsr" : "=a"(a), "=d"(d) : "c"(msr));
	return (uint64_t)d << 32 | a;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr"
		:
		: "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
		: "memory");
}

#endif

/* See arch/current.h. In kernel mode GS leads to the record of the CPU; entry.S swaps it on the way
 * in and out. */
#ifndef CAPOS_ARCH_IMPL_CURRENT_H
#define CAPOS_ARCH_IMPL_CURRENT_H

/* cpu.c asserts both. */
#define PERCPU_SELF_OFFSET 0
#define PERCPU_CURRENT_OFFSET 8

struct tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3, io_map_base;
} __attribute__((packed));

struct arch_cpu {
	/* Offsets known to entry.S through offsets.c. */
	uint64_t kernel_stack;
	uint64_t user_stack; /* scratch of the entry path */

	struct tss tss;
	uint64_t gdt[8];
};

static inline struct percpu *percpu(void)
{
	struct percpu *p;
	__asm__ volatile("movq %%gs:%c1, %0" : "=r"(p) : "i"(PERCPU_SELF_OFFSET));
	return p;
}

#ifndef CAPOS_HOST_TEST
static inline struct thread *thread_current(void)
{
	struct thread *thread;
	__asm__("movq %%gs:%c1, %0" : "=r"(thread) : "i"(PERCPU_CURRENT_OFFSET));
	return thread;
}
#endif

static inline void cpu_set_kernel_stack(struct arch_cpu *cpu, uint64_t top)
{
	cpu->kernel_stack = top;
	cpu->tss.rsp[0] = top;
}

#endif

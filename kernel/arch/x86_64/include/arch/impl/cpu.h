/* See arch/cpu.h. STI takes effect after the instruction that follows it. */
#ifndef CAPOS_ARCH_IMPL_CPU_H
#define CAPOS_ARCH_IMPL_CPU_H

static inline void cpu_relax(void)
{
	__asm__ volatile("pause");
}

static inline void cpu_take_interrupts(void)
{
	__asm__ volatile("sti; nop; cli" : : : "memory");
}

static inline void cpu_wait_for_interrupt(void)
{
	__asm__ volatile("sti; hlt; cli" : : : "memory");
}

static inline _Noreturn void cpu_stop(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

#endif

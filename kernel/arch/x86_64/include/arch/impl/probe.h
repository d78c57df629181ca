/* See arch/probe.h. */
#ifndef CAPOS_ARCH_IMPL_PROBE_H
#define CAPOS_ARCH_IMPL_PROBE_H

#define PROBE_RETURN { 0xc3 } /* RET */

static inline uint8_t probe_read(uint64_t address)
{
	uint8_t byte;
	__asm__ volatile("movb (%1), %0" : "=r"(byte) : "r"(address) : "memory");
	return byte;
}

static inline void probe_write(uint64_t address, uint8_t byte)
{
	__asm__ volatile("movb %1, (%0)" : : "r"(address), "q"(byte) : "memory");
}

static inline void probe_call(uint64_t address)
{
	__asm__ volatile("call *%0" : : "r"(address) : "memory");
}

#endif

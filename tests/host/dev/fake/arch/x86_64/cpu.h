/* What the device code under test asks of the processor, answered by ../../../machine.c. */
#ifndef TEST_DEV_CPU_H
#define TEST_DEV_CPU_H

#include <stdbool.h>
#include <stdint.h>

void outw(uint16_t port, uint16_t value);
void outl(uint16_t port, uint32_t value);
uint32_t inl(uint16_t port);

static inline void cpu_relax(void)
{
}

#endif

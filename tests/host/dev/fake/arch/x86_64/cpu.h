/* What the device code under test asks of the processor, answered by ../../../machine.c. */
#ifndef TEST_DEV_CPU_H
#define TEST_DEV_CPU_H

#include <stdbool.h>
#include <stdint.h>

struct interrupt_message {
	uint64_t address;
	uint32_t data;
};

bool interrupt_register(unsigned gsi, bool level, void (*handler)(void));
bool interrupt_register_message(void (*handler)(void), struct interrupt_message *message);
void outw(uint16_t port, uint16_t value);
void outl(uint16_t port, uint32_t value);
uint32_t inl(uint16_t port);

static inline void cpu_relax(void)
{
}

#endif

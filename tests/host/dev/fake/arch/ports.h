/* The ports that the device code under test uses, answered by ../../machine.c. */
#ifndef TEST_DEV_PORTS_H
#define TEST_DEV_PORTS_H

#include <stdint.h>

void outw(uint16_t port, uint16_t value);
void outl(uint16_t port, uint32_t value);
uint32_t inl(uint16_t port);

#endif

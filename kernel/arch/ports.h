/* Input and output by port numbers, of 1, 2 and 4 bytes: how a PC's own devices and PCI
 * configuration are reached. An architecture without such instructions reaches the window where its
 * machine maps the ports, if it has one; drivers look before they rely on a device. Any context. */
#ifndef CAPOS_ARCH_PORTS_H
#define CAPOS_ARCH_PORTS_H

#include <stdint.h>

static inline void outb(uint16_t port, uint8_t value);
static inline void outw(uint16_t port, uint16_t value);
static inline void outl(uint16_t port, uint32_t value);
static inline uint8_t inb(uint16_t port);
static inline uint16_t inw(uint16_t port);
static inline uint32_t inl(uint16_t port);

#include "arch/impl/ports.h"

#endif

/* PCI configuration space by the ports every PC has (PCI Local Bus 3.0, section 3.2.2.3.2): finding
 * functions, their capabilities and their memory. Boot only, on CPU 0, because the two ports are
 * one register pair for the whole machine and these functions take no lock. After boot they are
 * called by pci_device.c alone, under its lock. */
#ifndef CAPOS_DEV_PCI_H
#define CAPOS_DEV_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mm/frame.h"

struct pci_function {
	uint8_t bus, device, function;
};

enum pci_register {
	PCI_VENDOR_ID = 0x00,
	PCI_DEVICE_ID = 0x02,
	PCI_COMMAND = 0x04,
	PCI_STATUS = 0x06,
	PCI_REVISION = 0x08, /* of 32 bits: revision, interface, sub-class, class */
	PCI_CLASS = 0x0a,    /* sub-class, class */
	PCI_HEADER_TYPE = 0x0e,
	PCI_BAR_0 = 0x10,
	PCI_SECONDARY_BUS = 0x19, /* of a bridge */
	PCI_SUBSYSTEM_ID = 0x2e,
	PCI_CAPABILITIES = 0x34,
	PCI_INTERRUPT_LINE = 0x3c,
	PCI_INTERRUPT_PIN = 0x3d, /* 0: none */
};

enum pci_command {
	PCI_COMMAND_IO = 1,
	PCI_COMMAND_MEMORY = 2,
	PCI_COMMAND_BUS_MASTER = 4,
	PCI_COMMAND_NO_LINE_INTERRUPT = 0x400,
};

enum pci_status {
	PCI_STATUS_INTERRUPT = 8, /* asked for on the line, whether or not it is let out */
};

#define PCI_CAPABILITY_EXPRESS 0x10u
#define PCI_CAPABILITY_VENDOR 0x09u
#define PCI_CAPABILITY_MSIX 0x11u
#define PCI_BARS 6u

uint8_t pci_read8(const struct pci_function *function, unsigned offset);
uint16_t pci_read16(const struct pci_function *function, unsigned offset);
uint32_t pci_read32(const struct pci_function *function, unsigned offset);
void pci_write16(const struct pci_function *function, unsigned offset, uint16_t value);
void pci_write32(const struct pci_function *function, unsigned offset, uint32_t value);

/* Calls visit for every function of every bus that the firmware has numbered; for none without
 * PCI. */
void pci_enumerate(
	void (*visit)(const struct pci_function *function, void *argument), void *argument);

/* The next capability with this id behind *offset, which moves to it. Begin with *offset = 0. size
 * is the number of bytes that the caller will read; a capability cut off by the end of
 * configuration space is skipped. */
bool pci_capability_next(
	const struct pci_function *function, uint8_t id, unsigned size, unsigned *offset);

/* The place and size of a memory BAR, as the firmware set it. False for one that is absent, in port
 * space, not placed, or beyond what a processor can address. */
struct pci_memory {
	paddr_t base;
	uint64_t size;
	bool prefetchable; /* reads change nothing, and writes may be merged (PCI 3.0, 6.2.5.1) */
};
bool pci_bar_memory(const struct pci_function *function, unsigned bar, struct pci_memory *memory);

/* Maps [offset, offset + size) of a memory BAR, uncached, for good; NULL when the BAR has no such
 * range. */
volatile uint8_t *pci_bar_map(
	const struct pci_function *function, unsigned bar, uint64_t offset, uint64_t size);

#endif

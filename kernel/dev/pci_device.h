/* PCI functions for trusted programs: those that the kernel does not drive, with registers in
 * memory. object/registers.c has the capabilities for them. */
#ifndef CAPOS_DEV_PCI_DEVICE_H
#define CAPOS_DEV_PCI_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/lock.h"
#include "dev/pci.h"

struct registers_claim;

/* There is one record for each, for good. Set at boot, but for what is guarded by a lock. */
struct pci_device {
	struct pci_function function;
	uint16_t vendor, device;
	uint32_t class_code;              /* class, sub-class, interface */
	unsigned express;                 /* capability with a reset of its own; 0: none */
	struct pci_memory bars[PCI_BARS]; /* size 0: none that can be mapped */
	uint32_t bar_words[PCI_BARS];     /* as the firmware has set them */
	bool interrupts;                  /* it has a line, which it can be kept from */

	/* Guarded by the lock of pci_device.c. */
	bool taken, armed;

	struct spinlock lock;
	struct registers_claim *claim; /* whom an interrupt is for; NULL: nobody. Guarded by lock */
};

/* Boot, CPU 0, after frames_init. Keeps a function, unless it is the kernel's or has no registers
 * to map. */
void pci_device_add(const struct pci_function *function);

/* The device with that number, from 0 on; NULL: there are no more. Any context after boot. */
struct pci_device *pci_device_find(uint64_t number);

/* Any context that may take the OBJECT lock. False: it is taken. */
bool pci_device_take(struct pci_device *device);
void pci_device_give(struct pci_device *device);

/* A thread. Without locks, which has taken the device. The device does nothing and answers nowhere
 * then, and where it has a reset of its own it is as new. Takes up to 100 ms. */
void pci_device_reset(struct pci_device *device);
/* Any context that may take the OBJECT lock. Lets it answer at its registers; not reach memory by
 * itself. */
void pci_device_enable(struct pci_device *device);

/* Any context that may take the OBJECT lock. Lets an enabled device use its interrupt line, until
 * it has asked for an interrupt once. One that it asks for already comes at once. */
void pci_device_arm(struct pci_device *device);
/* Provided by object/registers.c: the device has asked for an interrupt, and is kept from the line
 * since. Runs with interrupts off and no lock held. */
void pci_device_interrupted(struct pci_device *device);

#endif

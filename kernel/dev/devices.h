/* The machine's devices: those that the kernel itself drives, which are the host channel and the
 * wall clock, and the virtio devices that programs may drive. */
#ifndef CAPOS_DEV_DEVICES_H
#define CAPOS_DEV_DEVICES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/lock.h"
#include "dev/virtio.h"

struct device_claim;

/* A virtio device for programs. There is one record for each, for good. */
struct device {
	/* Set at boot, never changed. */
	struct virtio_device virtio;

	struct spinlock lock;
	struct device_claim *claim; /* who drives it; NULL: free. Guarded by lock */
};

/* The device with that number, from 0 on; NULL: there are no more. Any context after boot. */
struct device *device_find(uint64_t number);
/* Provided by object/device.c: an interrupt of the device, which may be another one's. argument:
 * the device. Runs with interrupts off and no lock held. */
void device_interrupted(void *argument);

/* Boot, once, on CPU 0, when memory, interrupts and the clock work. The command line stays in
 * memory. */
void devices_init(const char *command_line);

#endif

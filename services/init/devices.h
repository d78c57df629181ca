/* The devices that services are granted, one by one. */
#ifndef INIT_DEVICES_H
#define INIT_DEVICES_H

#include <stdint.h>

#include <capos/call.h>

/* Takes a device: that with the index among those of virtio's type, from 0 on. The caller releases
 * it. notFound: the machine has none; busy: another process has it. */
int64_t device_open(uint32_t type, uint32_t index, capos_cap_t *device);

/* The same of a device with registers, by PCI's vendor and device, 16 bits each. */
int64_t registers_open(uint32_t type, uint32_t index, capos_cap_t *registers);

/* Writes a line which says that the machine has no such device, and which it has. */
void devices_tell(const char *service, const char *device);

#endif

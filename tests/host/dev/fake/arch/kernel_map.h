/* Mapping device registers, on the simulated machine. */
#ifndef TEST_DEV_KERNEL_MAP_H
#define TEST_DEV_KERNEL_MAP_H

#include <stdint.h>

void *kernel_map_device(uint64_t physical, uint64_t size_bytes);

#endif

/* A simulated machine: PCI functions behind the two configuration ports, and the memory of their
 * BARs. */
#ifndef TEST_DEV_MACHINE_H
#define TEST_DEV_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FUNCTIONS_MAX 4
#define REGISTERS_BYTES 256 /* of device memory that can be set; it repeats over every BAR */

struct fake_function {
	uint8_t bus, device, function;
	uint8_t config[256];
	uint8_t bar_shift[6]; /* its size is 1 << bar_shift, from 4 on; 0: not there */
};

struct fake_machine {
	bool pci;
	bool consistent; /* the BARs are as their masks say, so mappings can be checked against them
	                  */
	unsigned count;
	struct fake_function functions[FUNCTIONS_MAX];
	uint8_t registers[REGISTERS_BYTES]; /* what newly mapped device memory holds */
	unsigned config_accesses, maps, lines, messages;
	uint32_t address;
};
extern struct fake_machine machine;

void machine_reset(void);
/* Adds a function with the configuration space of QEMU's virtio console, as far as the kernel reads
 * it. */
#define BAR_4 0xfe000000u
#define BAR_1 0xfd000000u
#define COMMON 0x0u
#define ISR 0x1000u
#define NOTIFY 0x3000u
struct fake_function *console_add(uint8_t bus, uint8_t number);
void config_set16(struct fake_function *function, unsigned offset, uint16_t value);
void config_set32(struct fake_function *function, unsigned offset, uint32_t value);
/* The memory that was mapped for this physical address; NULL when none was. */
volatile uint8_t *machine_mapped(uint64_t physical);

#endif

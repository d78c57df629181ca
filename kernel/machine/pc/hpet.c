/* The high precision event timer: see hpet.h. Only its counter is used. */
#include "machine/pc/hpet.h"

#include "machine/pc/acpi.h"
#include "mm/frame.h"

#define CAPABILITIES 0x00u
#define CONFIGURATION 0x10u
#define COUNTER 0xf0u
#define CAPABILITY_64_BITS (1ul << 13)
#define CONFIGURATION_ENABLE 1ul
#define FEMTOSECONDS_PER_NS 1000000ul
#define PERIOD_FS_MAX 100000000ul /* 2.3.4: 100 ns */

static volatile uint64_t *registers;
static uint64_t ns_per_tick;

static volatile uint64_t *hpet_register(unsigned offset)
{
	return registers + offset / sizeof *registers;
}

bool hpet_start(void)
{
	if (registers)
		return true;
	if (!acpi.hpet || acpi.hpet % 8)
		return false;
	registers = phys_to_virt(acpi.hpet);
	uint64_t capabilities = *hpet_register(CAPABILITIES), period_fs = capabilities >> 32;
	if (!(capabilities & CAPABILITY_64_BITS) || !period_fs || period_fs > PERIOD_FS_MAX) {
		registers = 0;
		return false;
	}
	ns_per_tick = (period_fs << 32) / FEMTOSECONDS_PER_NS;
	*hpet_register(CONFIGURATION) |= CONFIGURATION_ENABLE;
	return true;
}

uint64_t hpet_read(void)
{
	return *hpet_register(COUNTER);
}

uint64_t hpet_ns_per_tick(void)
{
	return ns_per_tick;
}

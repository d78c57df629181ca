/* The ACPI tables of this machine, through the direct map; and switching it off. */
#include "machine/pc/acpi.h"

#include "arch/cpu.h"
#include "arch/ports.h"
#include "arch/impl/x86.h"
#include "mm/frame.h"
#include "machine/clock.h"

#define DIRECT_MAP_MIN (4ul << 30)
#define HPET_BYTES 0x400ul /* IA-PC HPET 1.0a, 2.3.1 */
#define IO_APIC_BYTES 0x20ul
#define CONTROL_SCI_ENABLE 1u /* 4.8.3.2.1: set while the machine is in ACPI mode */
#define CONTROL_SLEEP_ENABLE 0x2000u
#define MODE_CHANGE_NS 300000000ul

struct acpi_machine acpi;
static uint64_t reachable_end;

static const void *reach_direct_map(uint64_t address, size_t size)
{
	return address < reachable_end && size <= reachable_end - address ? phys_to_virt(address)
									  : NULL;
}

void acpi_init(uint64_t rsdp, uint64_t ram_end)
{
	reachable_end = ram_end > DIRECT_MAP_MIN ? ram_end : DIRECT_MAP_MIN;
	acpi_read(reach_direct_map, rsdp, &acpi);
	/* Device registers are reached through the first 4 GiB of the direct map. */
	if (acpi.hpet > DIRECT_MAP_MIN - HPET_BYTES)
		acpi.hpet = 0;
	if (acpi.io_apic > DIRECT_MAP_MIN - IO_APIC_BYTES || acpi.io_apic % 16)
		acpi.io_apic = 0;
}

void acpi_power_off(void)
{
	if (!acpi.can_power_off)
		return;
	uint16_t control = (uint16_t)acpi.control_a;
	if (!(inw(control) & CONTROL_SCI_ENABLE) && acpi.smi_command) {
		uint64_t limit = clock_now_ns() + MODE_CHANGE_NS;
		outb((uint16_t)acpi.smi_command, acpi.smi_enable);
		while (!(inw(control) & CONTROL_SCI_ENABLE) && clock_now_ns() < limit)
			cpu_relax();
	}
	outw(control, (uint16_t)(acpi.sleep_type_a << 10 | CONTROL_SLEEP_ENABLE));
	if (acpi.control_b)
		outw((uint16_t)acpi.control_b,
			(uint16_t)(acpi.sleep_type_b << 10 | CONTROL_SLEEP_ENABLE));
	uint64_t limit = clock_now_ns() + MODE_CHANGE_NS; /* it takes a moment */
	while (clock_now_ns() < limit)
		cpu_relax();
}

/* What the firmware's ACPI tables say of the machine: CPUs, I/O APIC and its lines, event timer,
 * and how to switch off. Source: ACPI Specification 6.4, chapter 5 (tables) and 7.4.2 (the \_S5
 * package); IA-PC HPET Specification 1.0a, 3.2.4. */
#ifndef CAPOS_MACHINE_PC_ACPI_H
#define CAPOS_MACHINE_PC_ACPI_H

#include <capos/abi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ISA_LINES 16

/* The place and manner in which one of the old PC's interrupt lines arrives. */
struct acpi_isa_line {
	uint32_t gsi;
	bool level, active_low;
};

struct acpi_machine {
	/* Of the CPUs that may be started, the boot CPU's among them; none: not said. */
	uint32_t apic_ids[CAPOS_CPUS_MAX];
	unsigned cpu_count;
	uint32_t io_apic; /* physical address of the one that serves line 0; 0: unknown */
	/* Without an entry in the tables line n is at n, edge-triggered. */
	struct acpi_isa_line isa[ISA_LINES];
	uint64_t hpet; /* physical address of its registers; 0: none */
	/* Soft off: sleep type to both control ports; 0: no such port. */
	bool can_power_off;
	uint32_t control_a, control_b, smi_command;
	uint8_t smi_enable, sleep_type_a, sleep_type_b;
};

/* Reads `size` bytes of physical memory at `address`; NULL where there is no memory to read. The
 * tables are not trusted: every address and length in them is checked, and this function decides
 * what is memory. */
typedef const void *acpi_reach(uint64_t address, size_t size);

/* Pure, but for what reach does. `rsdp` is the physical address of the root pointer, 0 if the
 * loader knew none. Tables that cannot be read count as missing. */
void acpi_read(acpi_reach *reach, uint64_t rsdp, struct acpi_machine *machine);

extern struct acpi_machine acpi;

/* Boot, once: the same for this machine, into `acpi`. The direct map must exist. */
void acpi_init(uint64_t rsdp, uint64_t ram_end);

/* A thread. Switches off, with interrupts off and polling for up to two MODE_CHANGE_NS (acpi.c).
 * Returns if the machine does not switch off that way. */
void acpi_power_off(void);

#endif

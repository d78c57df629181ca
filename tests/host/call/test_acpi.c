/* Reading ACPI tables: a machine made of bytes, correct at first, then wrong in every byte.
 * Physical memory is one heap block of the exact size, so that the sanitizer sees a read
 * outside. */
#include <stdint.h>
#include <string.h>

#include "machine/pc/acpi.h"
#include "check.h"

#define BASE 0xe0000u
#define SIZE 0x400u
#define RSDP (BASE + 0x10)
#define XSDT 0x40u
#define RSDT 0x80u
#define MADT 0xc0u
#define FADT 0x160u
#define DSDT 0x280u
#define EVENT_TIMER 0x300u

static uint8_t *memory;

static const void *reach(uint64_t address, size_t size)
{
	return address >= BASE && address - BASE <= SIZE && size <= SIZE - (address - BASE)
		? memory + (address - BASE)
		: NULL;
}

static void put(uint32_t start, uint64_t value, unsigned width)
{
	for (unsigned i = 0; i < width; i++)
		memory[start + i] = (uint8_t)(value >> (8 * i));
}

static void seal(uint32_t start, uint32_t size, uint32_t sum_offset)
{
	uint8_t sum = 0;
	memory[start + sum_offset] = 0;
	for (uint32_t i = 0; i < size; i++)
		sum = (uint8_t)(sum + memory[start + i]);
	memory[start + sum_offset] = (uint8_t)-sum;
}

static void finish(uint32_t start, const char *signature, uint32_t size)
{
	memcpy(memory + start, signature, 4);
	put(start + 4, size, 4);
	seal(start, size, 9);
}

static void put_madt(void)
{
	static const uint8_t entries[] = {
		0, 8, 0, 4, 1, 0, 0, 0,           /* CPU 4 */
		0, 8, 1, 5, 0, 0, 0, 0,           /* switched off */
		2, 10, 0, 4, 20, 0, 0, 0, 15, 0,  /* line 4 arrives at 20, low, by level */
		2, 10, 0, 16, 21, 0, 0, 0, 15, 0, /* of a line that is none */
		1, 12, 0, 0, 0, 0, 0xd0, 0xfe, 0x18, 0, 0, 0,      /* an I/O APIC for later lines */
		1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0,         /* the first */
		9, 16, 0, 0, 0x10, 1, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0 /* CPU 272 */
	};
	memcpy(memory + MADT + 44, entries, sizeof entries);
	finish(MADT, "APIC", 44 + sizeof entries);
}

static void put_power(void)
{
	static const uint8_t code[] = { 0x5b, '_', 'S', '5', '_', 0x08, '_', 'S', '5', '_', 0x12,
		0x07, 0x04, 0x0a, 0x05, 0x01, 0x00, 0x00 };
	put(FADT + 40, BASE + DSDT, 4);
	put(FADT + 48, 0xb2, 4);
	put(FADT + 52, 0xf1, 1);
	put(FADT + 64, 0x604, 4);
	put(FADT + 140, 0, 8);
	finish(FADT, "FACP", 244);
	memcpy(memory + DSDT + 36, code, sizeof code);
	finish(DSDT, "DSDT", 36 + sizeof code);
}

static void make_machine(bool wide)
{
	uint32_t root = wide ? XSDT : RSDT, width = wide ? 8 : 4;
	memset(memory, 0, SIZE);
	memcpy(memory + 0x10, "RSD PTR ", 8);
	memory[0x10 + 15] = wide ? 2 : 0;
	put(0x10 + 16, BASE + RSDT, 4);
	if (wide) {
		put(0x10 + 20, 36, 4);
		put(0x10 + 24, BASE + XSDT, 8);
	}
	seal(0x10, 20, 8);
	seal(0x10, 36, 32);
	const uint32_t tables[] = { MADT, FADT, EVENT_TIMER };
	for (unsigned i = 0; i < 3; i++)
		put(root + 36 + i * width, BASE + tables[i], width);
	finish(root, wide ? "XSDT" : "RSDT", 36 + 3 * width);
	put_madt();
	put_power();
	put(EVENT_TIMER + 44, 0xfed00000, 8);
	finish(EVENT_TIMER, "HPET", 56);
}

static void check_machine(const struct acpi_machine *machine)
{
	CHECK(machine->cpu_count == 2 && machine->apic_ids[0] == 4 && machine->apic_ids[1] == 272);
	CHECK(machine->isa[4].gsi == 20 && machine->isa[4].level && machine->isa[4].active_low);
	CHECK(machine->isa[3].gsi == 3 && !machine->isa[3].level && machine->isa[15].gsi == 15);
	CHECK(machine->io_apic == 0xfec00000 && machine->hpet == 0xfed00000);
	CHECK(machine->can_power_off && machine->control_a == 0x604 && machine->control_b == 0);
	CHECK(machine->smi_command == 0xb2 && machine->smi_enable == 0xf1);
	CHECK(machine->sleep_type_a == 5 && machine->sleep_type_b == 1);
}

static void acpi_machine_from_tables(void)
{
	struct acpi_machine machine;
	make_machine(true);
	acpi_read(reach, RSDP, &machine);
	check_machine(&machine);
	make_machine(false);
	acpi_read(reach, RSDP, &machine);
	check_machine(&machine);
}

static void acpi_no_tables(void)
{
	struct acpi_machine machine;
	acpi_read(reach, 0, &machine);
	CHECK(!machine.cpu_count && !machine.can_power_off);
	acpi_read(reach, BASE + SIZE - 8, &machine);
	CHECK(!machine.cpu_count && !machine.can_power_off);
}

/* A wrong byte anywhere makes its table invalid, because the checksum is wrong. */
static void acpi_wrong_sums(void)
{
	struct acpi_machine machine;
	for (uint32_t address = MADT; address < MADT + 44; address++) {
		make_machine(true);
		memory[address] ^= 0x41;
		acpi_read(reach, RSDP, &machine);
		CHECK(!machine.cpu_count && machine.can_power_off);
	}
}

/* Every length and address is wrong in turn, with correct checksums. Nothing outside may be read,
 * and no more CPUs may be reported than there is room for. */
static void acpi_hostile_values(void)
{
	static const uint8_t values[] = { 0, 1, 2, 7, 35, 36, 0x7f, 0x80, 0xff };
	static const struct {
		uint32_t start, size;
	} tables[] = { { XSDT, 60 }, { MADT, 120 }, { FADT, 244 }, { DSDT, 54 },
		{ EVENT_TIMER, 56 } };
	struct acpi_machine machine;
	for (unsigned t = 0; t < sizeof tables / sizeof *tables; t++)
		for (uint32_t offset = 4; offset < tables[t].size; offset++)
			for (unsigned v = 0; v < sizeof values; v++) {
				make_machine(true);
				memory[tables[t].start + offset] = values[v];
				uint32_t size = (uint32_t)memory[tables[t].start + 4] |
					(uint32_t)memory[tables[t].start + 5] << 8;
				if (size >= 36 && size <= SIZE - tables[t].start)
					seal(tables[t].start, size, 9);
				acpi_read(reach, RSDP, &machine);
				CHECK(machine.cpu_count <= CAPOS_CPUS_MAX);
			}
}

int main(void)
{
	memory = malloc(SIZE);
	RUN(acpi_machine_from_tables);
	RUN(acpi_no_tables);
	RUN(acpi_wrong_sums);
	RUN(acpi_hostile_values);
	free(memory);
	return check_failures != 0;
}

/* Reading ACPI tables: see acpi.h. There is no interpreter: the one value that is in bytecode, the
 * sleep type of soft off, is found by its name. */
#include "machine/pc/acpi.h"
#include "core/string.h"

#define HEADER_SIZE 36u
#define TABLE_SIZE_MAX (4u << 20) /* a DSDT of a big server has a megabyte */
#define TABLES_MAX 256u
#define ADDRESS_SPACE_MEMORY 0

struct table {
	const uint8_t *bytes;
	uint32_t size;
};

/* Fields lie at any alignment; one that ends beyond its table reads as zero. */
static uint64_t field(const struct table *table, uint32_t offset, unsigned width)
{
	uint64_t value = 0;
	if (offset > table->size || table->size - offset < width)
		return 0;
	for (unsigned i = 0; i < width; i++)
		value |= (uint64_t)table->bytes[offset + i] << (8 * i);
	return value;
}

static bool sums_to_zero(const uint8_t *bytes, uint32_t size)
{
	uint8_t sum = 0;
	while (size--)
		sum = (uint8_t)(sum + *bytes++);
	return sum == 0;
}

static bool open_table(acpi_reach *reach, uint64_t address, struct table *table)
{
	table->size = HEADER_SIZE;
	if (!address || !(table->bytes = reach(address, HEADER_SIZE)))
		return false;
	uint32_t size = (uint32_t)field(table, 4, 4);
	if (size < HEADER_SIZE || size > TABLE_SIZE_MAX || !(table->bytes = reach(address, size)))
		return false;
	table->size = size;
	return sums_to_zero(table->bytes, size);
}

static bool is_named(const struct table *table, const char *signature)
{
	return !memcmp(table->bytes, signature, 4);
}

static void add_cpu(struct acpi_machine *machine, uint64_t apic_id, uint64_t flags)
{
	if ((flags & 1) && machine->cpu_count < CAPOS_CPUS_MAX) /* bit 0: enabled */
		machine->apic_ids[machine->cpu_count++] = (uint32_t)apic_id;
}

/* Interrupt source override, 5.2.12.5: flags are polarity (3: low) and trigger mode (3: level), 2
 * bits each. */
static void read_override(const struct table *entry, struct acpi_machine *machine)
{
	uint64_t line = field(entry, 3, 1), flags = field(entry, 8, 2);
	if (entry->size >= 10 && line < ISA_LINES)
		machine->isa[line] = (struct acpi_isa_line){ .gsi = (uint32_t)field(entry, 4, 4),
			.level = (flags >> 2 & 3) == 3,
			.active_low = (flags & 3) == 3 };
}

/* Multiple APIC Description Table, 5.2.12: a list of structures of a type and a size. */
static void read_madt(const struct table *madt, struct acpi_machine *machine)
{
	for (uint32_t offset = HEADER_SIZE + 8; offset + 2 <= madt->size;) {
		struct table entry = { madt->bytes + offset, madt->bytes[offset + 1] };
		if (entry.size < 2 || entry.size > madt->size - offset)
			return;
		switch (entry.bytes[0]) {
		case 0: /* local APIC */
			add_cpu(machine, field(&entry, 3, 1), field(&entry, 4, 4));
			break;
		case 1: /* I/O APIC, at 8 the first line it serves */
			if (field(&entry, 8, 4) == 0)
				machine->io_apic = (uint32_t)field(&entry, 4, 4);
			break;
		case 2:
			read_override(&entry, machine);
			break;
		case 9: /* local x2APIC: CPUs whose number does not fit the other kind */
			add_cpu(machine, field(&entry, 4, 4), field(&entry, 8, 4));
			break;
		}
		offset += entry.size;
	}
}

/* An integer constant in AML, 20.2.3: a byte, or the shorter forms of 0 and 1. Advances *offset; -1
 * for what is none. */
static int aml_byte(const struct table *code, uint32_t *offset)
{
	uint64_t op = field(code, *offset, 1);
	if (op == 0x0a) {
		*offset += 2;
		return (int)field(code, *offset - 1, 1);
	}
	*offset += 1;
	return op <= 1 ? (int)op : -1;
}

/* Name (_S5, Package (n) {typeA, typeB, ...}): NameOp, the name, PackageOp, a length of one to four
 * bytes, the number of elements, elements. */
static void read_sleep_types(const struct table *dsdt, struct acpi_machine *machine)
{
	for (uint32_t offset = HEADER_SIZE; dsdt->size - offset > 8; offset++) {
		if (memcmp(dsdt->bytes + offset, "_S5_", 4) || dsdt->bytes[offset + 4] != 0x12)
			continue;
		uint8_t before = dsdt->bytes[offset - 1];
		if (before != 0x08 && !(before == '\\' && dsdt->bytes[offset - 2] == 0x08))
			continue;
		uint32_t element = offset + 5 + 1 + (dsdt->bytes[offset + 5] >> 6) + 1;
		int a = aml_byte(dsdt, &element), b = aml_byte(dsdt, &element);
		if (a < 0 || b < 0)
			return;
		machine->sleep_type_a = (uint8_t)a;
		machine->sleep_type_b = (uint8_t)b;
		machine->can_power_off = machine->control_a != 0;
		return;
	}
}

/* Fixed ACPI Description Table, 5.2.9. */
static void read_fadt(acpi_reach *reach, const struct table *fadt, struct acpi_machine *machine)
{
	uint64_t code = field(fadt, 140, 8);
	struct table dsdt;
	machine->smi_command = (uint32_t)field(fadt, 48, 4);
	machine->smi_enable = (uint8_t)field(fadt, 52, 1);
	machine->control_a = (uint32_t)field(fadt, 64, 4);
	machine->control_b = (uint32_t)field(fadt, 68, 4);
	if (open_table(reach, code ? code : field(fadt, 40, 4), &dsdt) && is_named(&dsdt, "DSDT"))
		read_sleep_types(&dsdt, machine);
}

static void read_table(acpi_reach *reach, const struct table *table, struct acpi_machine *machine)
{
	if (is_named(table, "APIC"))
		read_madt(table, machine);
	else if (is_named(table, "FACP"))
		read_fadt(reach, table, machine);
	else if (is_named(table, "HPET") && field(table, 40, 1) == ADDRESS_SPACE_MEMORY)
		machine->hpet = field(table, 44, 8);
}

/* Root pointer, 5.2.5.3: revision 2 brought 64-bit addresses. */
static bool open_root(acpi_reach *reach, uint64_t rsdp, struct table *root, unsigned *width)
{
	struct table pointer = { reach(rsdp, 20), 20 };
	if (!pointer.bytes || memcmp(pointer.bytes, "RSD PTR ", 8) ||
		!sums_to_zero(pointer.bytes, 20))
		return false;
	bool wide = pointer.bytes[15] >= 2;
	uint64_t address = field(&pointer, 16, 4);
	if (wide) {
		pointer = (struct table){ reach(rsdp, 36), 36 };
		if (!pointer.bytes || !sums_to_zero(pointer.bytes, 36))
			return false;
		if (field(&pointer, 24, 8))
			address = field(&pointer, 24, 8);
		else
			wide = false;
	}
	*width = wide ? 8 : 4;
	return open_table(reach, address, root) && is_named(root, wide ? "XSDT" : "RSDT");
}

void acpi_read(acpi_reach *reach, uint64_t rsdp, struct acpi_machine *machine)
{
	struct table root, table;
	unsigned width;
	*machine = (struct acpi_machine){ 0 };
	for (unsigned line = 0; line < ISA_LINES; line++)
		machine->isa[line].gsi = line;
	if (!rsdp || !open_root(reach, rsdp, &root, &width))
		return;
	for (uint32_t i = 0, offset = HEADER_SIZE; i < TABLES_MAX && root.size - offset >= width;
		i++, offset += width)
		if (open_table(reach, field(&root, offset, width), &table))
			read_table(reach, &table, machine);
}

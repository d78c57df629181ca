/* PCI configuration space: see pci.h. The kernel does not trust what a function says of itself:
 * every offset is masked or checked, and every walk ends after as many steps as configuration space
 * has room for. */
#include "dev/pci.h"

#include "arch/kernel_map.h"
#include "arch/ports.h"

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA 0xcfc
#define CONFIG_ENABLE 0x80000000u
#define CONFIG_BYTES 256u

#define BUSES 256u
#define DEVICES 32u
#define FUNCTIONS 8u
#define VENDOR_NONE 0xffffu
#define HEADER_MANY_FUNCTIONS 0x80u
#define HEADER_TYPE_MASK 0x7fu
#define HEADER_BRIDGE 1u
#define STATUS_CAPABILITIES 0x10u
#define CAPABILITIES_FIRST 0x40u /* the standard header is below */

#define BAR_PORTS 1u
#define BAR_TYPE_MASK 6u
#define BAR_64_BIT 4u
#define BAR_PREFETCHABLE 8u
#define BAR_FLAGS 15u
#define PHYSICAL_LIMIT (1ull << 52) /* what page tables can name */

static void select(const struct pci_function *function, unsigned offset)
{
	outl(CONFIG_ADDRESS,
		CONFIG_ENABLE | (uint32_t)function->bus << 16 | (uint32_t)function->device << 11 |
			(uint32_t)function->function << 8 | (offset & (CONFIG_BYTES - 4)));
}

uint32_t pci_read32(const struct pci_function *function, unsigned offset)
{
	select(function, offset);
	return inl(CONFIG_DATA);
}

uint16_t pci_read16(const struct pci_function *function, unsigned offset)
{
	return (uint16_t)(pci_read32(function, offset) >> 8 * (offset & 2));
}

uint8_t pci_read8(const struct pci_function *function, unsigned offset)
{
	return (uint8_t)(pci_read32(function, offset) >> 8 * (offset & 3));
}

void pci_write32(const struct pci_function *function, unsigned offset, uint32_t value)
{
	select(function, offset);
	outl(CONFIG_DATA, value);
}

void pci_write16(const struct pci_function *function, unsigned offset, uint16_t value)
{
	select(function, offset);
	outw(CONFIG_DATA + (offset & 2), value);
}

/* Without a host bridge the address port does not keep a written value. */
static bool pci_present(void)
{
	outl(CONFIG_ADDRESS, CONFIG_ENABLE);
	return inl(CONFIG_ADDRESS) == CONFIG_ENABLE;
}

/* Buses found behind bridges and not visited yet. A bridge may name any bus, even its own, so each
 * is visited only once. */
struct bus_set {
	uint64_t found[BUSES / 64], visited[BUSES / 64];
};

static void visit_function(const struct pci_function *function, struct bus_set *buses,
	void (*visit)(const struct pci_function *, void *), void *argument)
{
	if ((pci_read8(function, PCI_HEADER_TYPE) & HEADER_TYPE_MASK) == HEADER_BRIDGE) {
		unsigned bus = pci_read8(function, PCI_SECONDARY_BUS);
		buses->found[bus / 64] |= 1ull << bus % 64;
		return;
	}
	visit(function, argument);
}

static void visit_bus(uint8_t bus, struct bus_set *buses,
	void (*visit)(const struct pci_function *, void *), void *argument)
{
	for (uint8_t device = 0; device < DEVICES; device++) {
		for (uint8_t number = 0; number < FUNCTIONS; number++) {
			struct pci_function function = { bus, device, number };
			bool there = pci_read16(&function, PCI_VENDOR_ID) != VENDOR_NONE;
			if (there)
				visit_function(&function, buses, visit, argument);
			if (number == 0 &&
				(!there ||
					!(pci_read8(&function, PCI_HEADER_TYPE) &
						HEADER_MANY_FUNCTIONS)))
				break;
		}
	}
}

void pci_enumerate(
	void (*visit)(const struct pci_function *function, void *argument), void *argument)
{
	struct bus_set buses = { .found = { 1 } };
	bool more = pci_present();
	while (more) {
		more = false;
		for (unsigned bus = 0; bus < BUSES; bus++) {
			uint64_t bit = 1ull << bus % 64;
			if (!(buses.found[bus / 64] & ~buses.visited[bus / 64] & bit))
				continue;
			buses.visited[bus / 64] |= bit;
			visit_bus((uint8_t)bus, &buses, visit, argument);
			more = true;
		}
	}
}

bool pci_capability_next(
	const struct pci_function *function, uint8_t id, unsigned size, unsigned *offset)
{
	if (!*offset && !(pci_read16(function, PCI_STATUS) & STATUS_CAPABILITIES))
		return false;
	unsigned link = *offset ? *offset + 1 : PCI_CAPABILITIES;
	/* A chain longer than configuration space has room for is a circle. */
	for (unsigned i = 0; i < CONFIG_BYTES / 4; i++) {
		unsigned next = pci_read8(function, link) & ~3u;
		if (next < CAPABILITIES_FIRST)
			return false;
		if (pci_read8(function, next) == id && next + size <= CONFIG_BYTES) {
			*offset = next;
			return true;
		}
		link = next + 1;
	}
	return false;
}

/* Writes ones to a register, reads which bits stick, and restores the old value. */
static uint32_t probe_bits(const struct pci_function *function, unsigned offset)
{
	uint32_t before = pci_read32(function, offset);
	pci_write32(function, offset, UINT32_MAX);
	uint32_t stuck = pci_read32(function, offset);
	pci_write32(function, offset, before);
	return stuck;
}

/* The lowest address bit that can be set. The function must not answer at a wrong address
 * meanwhile. */
static uint64_t bar_size(const struct pci_function *function, unsigned offset, bool wide)
{
	uint16_t command = pci_read16(function, PCI_COMMAND);
	pci_write16(function, PCI_COMMAND, command & ~(PCI_COMMAND_IO | PCI_COMMAND_MEMORY));
	uint64_t mask = probe_bits(function, offset) & ~BAR_FLAGS;
	if (wide)
		mask |= (uint64_t)probe_bits(function, offset + 4) << 32;
	pci_write16(function, PCI_COMMAND, command);
	return mask & -mask;
}

bool pci_bar_memory(const struct pci_function *function, unsigned bar, struct pci_memory *memory)
{
	if (bar >= PCI_BARS)
		return false;
	unsigned offset = PCI_BAR_0 + 4 * bar;
	uint32_t low = pci_read32(function, offset), high = 0;
	bool wide = (low & BAR_TYPE_MASK) == BAR_64_BIT;
	if (low & BAR_PORTS || (wide && bar + 1 == PCI_BARS))
		return false;
	if (wide)
		high = pci_read32(function, offset + 4);
	memory->base = (uint64_t)high << 32 | (low & ~BAR_FLAGS);
	memory->size = bar_size(function, offset, wide);
	memory->prefetchable = low & BAR_PREFETCHABLE;
	return memory->base && memory->size && memory->base < PHYSICAL_LIMIT &&
		memory->size <= PHYSICAL_LIMIT - memory->base;
}

volatile uint8_t *pci_bar_map(
	const struct pci_function *function, unsigned bar, uint64_t offset, uint64_t size)
{
	struct pci_memory memory;
	if (!pci_bar_memory(function, bar, &memory) || offset > memory.size ||
		size > memory.size - offset)
		return NULL;
	return kernel_map_device(memory.base + offset, size);
}

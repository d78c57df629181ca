/* The simulated machine: see machine.h. A mapping outside every BAR of the function that the kernel
 * read last fails at once, where the BARs make sense, because hostile capabilities aim at such a
 * mapping. Each mapping is memory of its own, of exactly the requested length, so that an access
 * beyond it is found. */
#include "machine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/kernel_map.h"
#include "arch/ports.h"
#include "core/log.h"
#include "machine/interrupts.h"
#include "dev/pci.h"
#include "mm/frame.h"

#define MAPS_MAX 4096
#define FRAMES_MAX 64

struct fake_machine machine;
static struct {
	uint64_t physical, size;
	uint8_t *memory;
} maps[MAPS_MAX];
static void *frames[FRAMES_MAX];
static unsigned frame_count;
static struct fake_function *looked_at;

void machine_reset(void)
{
	for (unsigned i = 0; i < machine.maps; i++)
		free(maps[i].memory);
	while (frame_count)
		free(frames[--frame_count]);
	memset(&machine, 0, sizeof machine);
	machine.pci = machine.consistent = true;
	looked_at = NULL;
}

void config_set16(struct fake_function *function, unsigned offset, uint16_t value)
{
	memcpy(function->config + offset, &value, sizeof value);
}

void config_set32(struct fake_function *function, unsigned offset, uint32_t value)
{
	memcpy(function->config + offset, &value, sizeof value);
}

struct fake_function *console_add(uint8_t bus, uint8_t number)
{
	struct fake_function *f = &machine.functions[machine.count++];
	f->bus = bus;
	f->device = number;
	config_set32(f, PCI_VENDOR_ID, 0x10431af4);
	config_set16(f, PCI_STATUS, 0x10);
	config_set32(f, PCI_BAR_0 + 4, BAR_1);
	f->bar_shift[1] = 12;
	config_set32(f, PCI_BAR_0 + 16, BAR_4 | 0xc);
	f->bar_shift[4] = 14;
	f->config[PCI_CAPABILITIES] = 0x40;
	f->config[PCI_INTERRUPT_LINE] = 11;
	static const struct {
		uint8_t start, next, type;
		uint32_t offset, length;
	} capabilities[] = { { 0x40, 0x54, 1, COMMON, 0x1000 }, { 0x54, 0x68, 3, ISR, 0x1000 },
		{ 0x68, 0x7c, 2, NOTIFY, 0x1000 } };
	for (unsigned i = 0; i < 3; i++) {
		uint8_t *c = f->config + capabilities[i].start;
		c[0] = PCI_CAPABILITY_VENDOR;
		c[1] = capabilities[i].next;
		c[2] = 20;
		c[3] = capabilities[i].type;
		c[4] = 4;
		config_set32(f, capabilities[i].start + 8u, capabilities[i].offset);
		config_set32(f, capabilities[i].start + 12u, capabilities[i].length);
		config_set32(f, capabilities[i].start + 16u, 4);
	}
	f->config[0x7c] = PCI_CAPABILITY_MSIX;
	config_set32(f, 0x7c + 4, 1 | 0x800); /* BAR 1, offset 0x800 */
	machine.registers[24] = 8;            /* queue size */
	machine.registers[30] = 3;            /* notification offset */
	return f;
}

_Noreturn void panic(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
	abort();
}

/* ---- configuration space ---- */

static struct fake_function *selected(void)
{
	if (++machine.config_accesses > 4000000)
		panic("the search does not end");
	for (unsigned i = 0; machine.address >> 31 && i < machine.count; i++) {
		struct fake_function *f = &machine.functions[i];
		if ((machine.address >> 8 & 0xffff) ==
			(uint32_t)(f->bus << 8 | (f->device & 31) << 3 | (f->function & 7)))
			return f;
	}
	return NULL;
}

static uint32_t bar_mask(const struct fake_function *f, unsigned bar)
{
	unsigned shift = f->bar_shift[bar];
	bool high =
		bar > 0 && f->bar_shift[bar - 1] >= 4 && (f->config[0x10 + 4 * (bar - 1)] & 7) == 4;
	if (high) /* the upper half of the one before */
		return f->bar_shift[bar - 1] > 32 ? UINT32_MAX << (f->bar_shift[bar - 1] - 32)
						  : UINT32_MAX;
	if (shift < 4)
		return 0;
	return shift < 32 ? UINT32_MAX << shift : 0;
}

static void config_write(struct fake_function *f, unsigned offset, uint32_t value)
{
	uint32_t old;
	memcpy(&old, f->config + offset, sizeof old);
	if (offset >= 0x10 && offset < 0x28) {
		uint32_t mask = bar_mask(f, (offset - 0x10) / 4);
		bool high = mask & 15;
		value = high ? value & mask : (value & mask & ~15u) | (old & 15);
	}
	memcpy(f->config + offset, &value, sizeof value);
}

void outl(uint16_t port, uint32_t value)
{
	if (!machine.pci)
		return;
	if (port == 0xcf8)
		machine.address = value;
	struct fake_function *f = port == 0xcfc ? selected() : NULL;
	if (f)
		config_write(f, machine.address & 0xfc, value);
}

void outw(uint16_t port, uint16_t value)
{
	struct fake_function *f = machine.pci && port >> 2 == 0xcfc >> 2 ? selected() : NULL;
	if (f)
		memcpy(f->config + (machine.address & 0xfc) + (port & 2), &value, sizeof value);
}

uint32_t inl(uint16_t port)
{
	uint32_t value = UINT32_MAX;
	if (machine.pci && port == 0xcf8)
		return machine.address;
	struct fake_function *f = machine.pci && port == 0xcfc ? selected() : NULL;
	if (f) {
		looked_at = f;
		memcpy(&value, f->config + (machine.address & 0xfc), sizeof value);
	}
	return value;
}

/* ---- memory ---- */

static bool inside_a_bar(const struct fake_function *f, uint64_t physical, uint64_t size)
{
	for (unsigned bar = 0; bar < 6; bar++) {
		uint32_t low, high = 0;
		memcpy(&low, f->config + 0x10 + 4 * bar, sizeof low);
		if ((low & 6) == 4 && bar < 5)
			memcpy(&high, f->config + 0x14 + 4 * bar, sizeof high);
		uint64_t base = (uint64_t)high << 32 | (low & ~15u),
			 bytes = 1ull << (f->bar_shift[bar] & 63);
		/* The size of a 64-bit BAR whose low half has no address bit is in its high
		 * half. */
		if ((low & 6) == 4 && bar < 5 && !bar_mask(f, bar))
			bytes = 1ull << 32;
		if (!(low & 1) && physical >= base && physical - base <= bytes &&
			size <= bytes - (physical - base))
			return true;
	}
	return false;
}

void *kernel_map_device(uint64_t physical, uint64_t size)
{
	bool possible = size && physical < 1ull << 52 && size <= (1ull << 52) - physical;
	if (!possible ||
		(machine.consistent && !(looked_at && inside_a_bar(looked_at, physical, size))))
		panic("mapped %llx, %llu bytes: in no BAR", (unsigned long long)physical,
			(unsigned long long)size);
	if (size > 4096 || machine.maps == MAPS_MAX)
		return NULL;
	uint8_t *memory = malloc(size);
	for (uint64_t i = 0; i < size; i++)
		memory[i] = machine.registers[(physical + i) % REGISTERS_BYTES];
	maps[machine.maps].physical = physical;
	maps[machine.maps].size = size;
	maps[machine.maps++].memory = memory;
	return memory;
}

volatile uint8_t *machine_mapped(uint64_t physical)
{
	for (unsigned i = machine.maps; i-- > 0;)
		if (physical - maps[i].physical < maps[i].size)
			return maps[i].memory + (physical - maps[i].physical);
	return NULL;
}

paddr_t frame_take(unsigned order, unsigned flags)
{
	(void)flags;
	if (frame_count == FRAMES_MAX)
		return 0;
	void *frame = aligned_alloc(PAGE_SIZE, PAGE_SIZE << order);
	memset(frame, 0, PAGE_SIZE << order);
	frames[frame_count++] = frame;
	return (paddr_t)frame;
}

void *phys_to_virt(paddr_t physical)
{
	return (void *)physical;
}

paddr_t virt_to_phys(const void *address)
{
	return (paddr_t)address;
}

bool interrupt_register(unsigned gsi, bool level, struct interrupt_handler handler)
{
	machine.lines++;
	return gsi < 24 && level && handler.run;
}

bool interrupt_register_message(struct interrupt_handler handler, struct interrupt_message *message)
{
	message->address = 0xfee00000;
	message->data = 0x48 + machine.messages++;
	return handler.run;
}

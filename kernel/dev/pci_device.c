/* PCI functions for trusted programs: see pci_device.h. What a function says of its place in memory
 * counts only where it is neither RAM nor the processor's own registers, and not within a page with
 * others, because a program that maps a page reaches all of it.
 *
 * Interrupts come by the line, because a message is a write to memory and needs bus mastering. Each
 * function says whether it asks for the line, and can be kept from it, so that devices may share a
 * line, and one that asks on and on does so once. */
#include "dev/pci_device.h"

#include "arch/cpu.h"
#include "core/lock.h"
#include "machine/clock.h"
#include "machine/interrupts.h"
#include "mm/frame.h"
#include "sched/sched.h"

#define DEVICES_MAX 16u
#define VENDOR_VIRTIO 0x1af4u
#define CLASS_DISPLAY 0x03u
#define CLASS_BRIDGE 0x06u
#define CLASS_SYSTEM 0x08u

/* Interrupt controllers and timers of the processor and the board (Intel SDM 3A, section 11.4). */
#define CONTROLLERS_START 0xfec00000ul
#define CONTROLLERS_END 0xff000000ul

/* PCI Express 3.0, sections 6.6.2, 7.8.3 and 7.8.4. */
#define EXPRESS_BYTES 12u
#define EXPRESS_CAPABILITIES 4u
#define EXPRESS_CONTROL 8u
#define CAN_RESET (1u << 28)
#define RESET (1u << 15)
#define RESET_NS 100000000ull

#define INTERRUPT_LINES 16u /* lines the firmware can have named: the old controllers' */

static struct pci_device devices[DEVICES_MAX];
static unsigned device_count;
/* The ports, and what each device says that it guards. */
static struct spinlock config_lock = SPINLOCK_INIT(OBJECT);

/* Keeps it from the line, too. */
static void write_command_locked(struct pci_device *device, uint16_t command)
{
	assert_held(&config_lock);
	device->armed = false;
	pci_write16(&device->function, PCI_COMMAND, command | PCI_COMMAND_NO_LINE_INTERRUPT);
}

/* ---- boot ---- */

static bool mappable(const struct pci_memory *memory)
{
	uint64_t end = memory->base + memory->size;
	return memory->base % PAGE_SIZE == 0 && memory->size % PAGE_SIZE == 0 &&
		!frames_overlap(memory->base, end) &&
		(end <= CONTROLLERS_START || memory->base >= CONTROLLERS_END);
}

/* Two functions at one place: neither is mapped there. */
static void drop_overlaps(struct pci_memory *memory)
{
	for (unsigned i = 0; i < device_count * PCI_BARS; i++) {
		struct pci_memory *other = &devices[i / PCI_BARS].bars[i % PCI_BARS];
		if (other->size && memory->size && memory->base < other->base + other->size &&
			other->base < memory->base + memory->size)
			other->size = memory->size = 0;
	}
}

static bool read_bars(struct pci_device *device)
{
	bool any = false;
	for (unsigned bar = 0; bar < PCI_BARS; bar++) {
		unsigned offset = PCI_BAR_0 + 4 * bar;
		device->bar_words[bar] = pci_read32(&device->function, offset);
		if (bar && device->bars[bar - 1].size && device->bar_words[bar - 1] & 4)
			continue; /* the upper half of the one before */
		if (!pci_bar_memory(&device->function, bar, &device->bars[bar]) ||
			!mappable(&device->bars[bar]))
			device->bars[bar].size = 0;
		drop_overlaps(&device->bars[bar]);
		any |= device->bars[bar].size != 0;
	}
	return any;
}

static unsigned find_reset(const struct pci_function *function)
{
	unsigned express = 0;
	if (pci_capability_next(function, PCI_CAPABILITY_EXPRESS, EXPRESS_BYTES, &express) &&
		pci_read32(function, express + EXPRESS_CAPABILITIES) & CAN_RESET)
		return express;
	return 0;
}

/* Before it is armed the device is kept from the line, and the ports are left alone, because they
 * may be in use by who is interrupted. */
static void line_interrupt(void *argument)
{
	struct pci_device *device = argument;
	bool asks = false;
	spin_lock(&config_lock);
	if (device->armed)
		asks = pci_read16(&device->function, PCI_STATUS) & PCI_STATUS_INTERRUPT;
	if (asks)
		write_command_locked(device, PCI_COMMAND_MEMORY);
	spin_unlock(&config_lock);
	if (asks)
		pci_device_interrupted(device);
}

/* A function of before PCI 2.3 cannot be kept from the line. */
static bool connect_line(struct pci_device *device)
{
	const struct pci_function *function = &device->function;
	const struct interrupt_handler handler = { line_interrupt, device };
	unsigned line = pci_read8(function, PCI_INTERRUPT_LINE);
	pci_write16(function, PCI_COMMAND,
		pci_read16(function, PCI_COMMAND) | PCI_COMMAND_NO_LINE_INTERRUPT);
	return pci_read8(function, PCI_INTERRUPT_PIN) && line > 0 && line < INTERRUPT_LINES &&
		pci_read16(function, PCI_COMMAND) & PCI_COMMAND_NO_LINE_INTERRUPT &&
		interrupt_register(line, true, handler);
}

void pci_device_add(const struct pci_function *function)
{
	uint16_t vendor = pci_read16(function, PCI_VENDOR_ID);
	uint32_t class_code = pci_read32(function, PCI_REVISION) >> 8;
	uint32_t class = class_code >> 16;
	if (vendor == VENDOR_VIRTIO || class == CLASS_DISPLAY || class == CLASS_BRIDGE ||
		class == CLASS_SYSTEM || device_count == DEVICES_MAX)
		return;
	struct pci_device *device = &devices[device_count];
	*device = (struct pci_device){ .function = *function,
		.vendor = vendor,
		.device = pci_read16(function, PCI_DEVICE_ID),
		.class_code = class_code,
		.express = find_reset(function) };
	if (!read_bars(device))
		return;
	spin_init(&device->lock, LOCK_RANK_OBJECT);
	device->interrupts = connect_line(device);
	device_count++;
}

struct pci_device *pci_device_find(uint64_t number)
{
	return number < device_count ? &devices[number] : NULL;
}

/* ---- later ---- */

bool pci_device_take(struct pci_device *device)
{
	spin_lock(&config_lock);
	bool free = !device->taken;
	device->taken = true;
	spin_unlock(&config_lock);
	return free;
}

void pci_device_give(struct pci_device *device)
{
	spin_lock(&config_lock);
	device->taken = false;
	spin_unlock(&config_lock);
}

static void await_reset(void)
{
	uint64_t until_ns = clock_now_ns() + RESET_NS;
	while (clock_now_ns() < until_ns) {
		cpu_relax();
		sched_preemption_point();
	}
}

void pci_device_reset(struct pci_device *device)
{
	const struct pci_function *function = &device->function;
	unsigned control = device->express + EXPRESS_CONTROL;
	assert_none_held();
	spin_lock(&config_lock);
	write_command_locked(device, 0);
	if (device->express)
		pci_write16(function, control, pci_read16(function, control) | RESET);
	spin_unlock(&config_lock);
	if (!device->express)
		return;
	await_reset();
	spin_lock(&config_lock);
	for (unsigned bar = 0; bar < PCI_BARS; bar++)
		pci_write32(function, PCI_BAR_0 + 4 * bar, device->bar_words[bar]);
	write_command_locked(device, 0);
	spin_unlock(&config_lock);
}

void pci_device_enable(struct pci_device *device)
{
	spin_lock(&config_lock);
	write_command_locked(device, PCI_COMMAND_MEMORY);
	spin_unlock(&config_lock);
}

void pci_device_arm(struct pci_device *device)
{
	spin_lock(&config_lock);
	device->armed = true;
	pci_write16(&device->function, PCI_COMMAND, PCI_COMMAND_MEMORY);
	spin_unlock(&config_lock);
}

/* PCI, and virtio over it, on a simulated machine. Good devices are set up as the specification
 * says. A device is rejected for each wrong thing it can say of itself. */
#define CHECK_GROUP "dev"
#include <string.h>

#include "check.h"
#include "dev/pci.h"
#include "dev/virtio.h"
#include "machine.h"

static struct virtio_device device;
static unsigned visited;

static void interrupt(void *unused)
{
	(void)unused;
}

static void visit(const struct pci_function *function, void *argument)
{
	(void)argument;
	visited++;
	if (!device.transport)
		virtio_pci_probe(&device, function);
}

static bool found(void)
{
	memset(&device, 0, sizeof device);
	visited = 0;
	pci_enumerate(visit, NULL);
	return device.transport && device.pci.common && device.pci.interrupt_status &&
		device.pci.notify_size;
}

static void good_device(void)
{
	struct virtqueue queue;
	machine_reset();
	struct fake_function *f = console_add(0, 3);
	CHECK(found() && device.id == VIRTIO_ID_CONSOLE);
	CHECK((f->config[PCI_COMMAND] & 6) == 6);
	CHECK(virtio_begin(&device, interrupt) && device.pci.messages && machine.messages == 1 &&
		machine.lines == 0);
	CHECK((f->config[0x7c + 3] & 0xc0) == 0x80); /* on, not masked */
	volatile uint32_t *entry = (volatile uint32_t *)machine_mapped(BAR_1 + 0x800);
	CHECK(entry && entry[0] == 0xfee00000 && entry[2] == 0x48 && entry[3] == 0);
	CHECK(virtqueue_init(&queue, &device, 1, 8));
	CHECK(machine_mapped(BAR_4 + NOTIFY + 12) == queue.notify);
	volatile uint8_t *common = machine_mapped(BAR_4 + COMMON);
	uint64_t used = *(volatile uint64_t *)(common + 48);
	CHECK(used == (uint64_t)queue.used && common[28] == 1 && common[20] == 11);
	char byte;
	virtqueue_offer(&queue, 2, &byte, 1, true);
	virtqueue_kick(&queue);
	CHECK(*(volatile uint16_t *)queue.notify == 1 && queue.available->index == 1);
}

static void placed_above_4_gib(void)
{
	machine_reset();
	struct fake_function *f = console_add(0, 3);
	config_set32(f, PCI_BAR_0 + 20, 0x38);
	CHECK(found() && machine_mapped(0x3800000000 + BAR_4 + COMMON));
	config_set32(f, PCI_BAR_0 + 20, 0x100000); /* 2^52: no processor reaches it */
	CHECK(!found());
}

static void line_without_messages(void)
{
	machine_reset();
	struct fake_function *f = console_add(0, 3);
	f->config[0x7d] = 0;
	f->config[0x7c] = 0;
	CHECK(found() && virtio_begin(&device, interrupt) && !device.pci.messages &&
		machine.lines == 1);
	f->config[PCI_INTERRUPT_LINE] = 0xff;
	CHECK(found() && !virtio_begin(&device, interrupt));
	f->config[PCI_INTERRUPT_LINE] = 0;
	CHECK(found() && !virtio_begin(&device, interrupt));
}

static void table_outside_its_bar(void)
{
	machine_reset();
	struct fake_function *f = console_add(0, 3);
	config_set32(f, 0x7c + 4, 1 | 0xff8); /* the entry's second half lies behind the end */
	CHECK(found() && virtio_begin(&device, interrupt) && !device.pci.messages &&
		machine.messages == 0);
	config_set32(f, 0x7c + 4, 7);
	CHECK(found() && virtio_begin(&device, interrupt) && !device.pci.messages);
}

static void bridges(void)
{
	machine_reset();
	struct fake_function *b = &machine.functions[machine.count++];
	b->device = 1;
	config_set32(b, PCI_VENDOR_ID, 0x12348086);
	b->config[PCI_HEADER_TYPE] = 1;
	b->config[PCI_SECONDARY_BUS] = 200;
	struct fake_function *back = &machine.functions[machine.count++];
	*back = *b;
	back->bus = 200;
	back->config[PCI_SECONDARY_BUS] = 7; /* a lower number than its own */
	struct fake_function *circle = &machine.functions[machine.count++];
	*circle = *b;
	circle->bus = 7;
	circle->config[PCI_SECONDARY_BUS] = 200;
	console_add(7, 31);
	CHECK(found() && visited == 1);
}

static void no_pci(void)
{
	machine_reset();
	console_add(0, 3);
	machine.pci = false;
	CHECK(!found() && visited == 0 && machine.config_accesses == 0);
}

static void chain_in_a_circle(void)
{
	machine_reset();
	struct fake_function *f = console_add(0, 3);
	f->config[0x7d] = 0x40;
	f->config[0x7c] = 0;
	CHECK(found() && virtio_begin(&device, interrupt));
	f->config[0x40] = f->config[0x54] = f->config[0x68] = 0;
	CHECK(!found());
}

/* offset of a capability's byte and its new value, which make the kernel reject the device */
static void rejected_capabilities(void)
{
	static const struct {
		unsigned offset;
		uint32_t value;
	} wrong[] = {
		{ 0x40 + 4, 6 },          /* no such BAR */
		{ 0x40 + 4, 5 },          /* the upper half of BAR 4 */
		{ 0x40 + 4, 0 },          /* not there */
		{ 0x40 + 8, 0x4000 },     /* behind the end */
		{ 0x40 + 8, 0x3ffc },     /* across the end */
		{ 0x40 + 8, 0xfffffffc }, /* far behind */
		{ 0x40 + 8, 2 },          /* misaligned */
		{ 0x40 + 12, 55 },        /* too short */
		{ 0x54 + 12, 0 }, { 0x54 + 8, 0x4000 }, { 0x68 + 8, 0x3001 }, /* odd */
		{ 0x68 + 12, 0x1001 }, /* longer than the BAR */
		{ 0x68 + 12, 0xffffffff }, { 0x68 + 12, 0 },
		{ PCI_BAR_0 + 16, 0x0000000c },                               /* never placed */
		{ PCI_BAR_0 + 16, 0xfe000001 },                               /* in port space */
		{ PCI_VENDOR_ID, 0x10438086 }, { PCI_VENDOR_ID, 0x10501af4 }, /* a GPU */
		{ PCI_STATUS - 2, 0 },      /* has no capabilities */
		{ PCI_CAPABILITIES, 0x3c }, /* they begin inside the header */
	};
	for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		machine_reset();
		struct fake_function *f = console_add(0, 3);
		config_set32(f, wrong[i].offset, wrong[i].value);
		CHECK(!found());
		if (check_why[0])
			snprintf(check_why, sizeof check_why, "case %u was taken", i);
	}
}

static void rejected_queues(void)
{
	struct virtqueue queue;
	machine_reset();
	console_add(0, 3);
	CHECK(found() && virtio_begin(&device, interrupt));
	CHECK(!virtqueue_init(&queue, &device, 0, 16)); /* the device has 8 */
	machine_reset();
	console_add(0, 3);
	machine.registers[30] = 0xff;
	machine.registers[31] = 0xff; /* its notification register lies far outside */
	CHECK(found() && virtio_begin(&device, interrupt) &&
		!virtqueue_init(&queue, &device, 0, 8));
	machine_reset();
	config_set32(console_add(0, 3), 0x68 + 16, 0xffffffff);
	CHECK(found() && virtio_begin(&device, interrupt) &&
		!virtqueue_init(&queue, &device, 0, 8));
	machine_reset();
	config_set32(console_add(0, 3), 0x68 + 16, 1); /* odd */
	CHECK(found() && virtio_begin(&device, interrupt) &&
		!virtqueue_init(&queue, &device, 0, 8));
}

static void lying_used_ring(void)
{
	struct virtqueue queue;
	uint8_t buffer[64];
	uint16_t index;
	uint32_t length;
	machine_reset();
	console_add(0, 3);
	CHECK(found() && virtio_begin(&device, interrupt) && virtqueue_init(&queue, &device, 0, 4));
	virtqueue_offer(&queue, 3, buffer, sizeof buffer, true);
	queue.used->ring[0].id = 4; /* no descriptor of ours */
	queue.used->ring[1].id = 3;
	queue.used->ring[1].length = 1 << 30;
	queue.used->ring[2].id = 0; /* never offered */
	queue.used->ring[2].length = 100;
	queue.descriptors[0].length = 1 << 20;
	queue.used->index = 3;
	CHECK(virtqueue_take(&queue, &index, &length) && index == 3 && length == sizeof buffer);
	CHECK(virtqueue_take(&queue, &index, &length) && index == 0 && length == 0);
	CHECK(!virtqueue_take(&queue, &index, &length));
}

int main(void)
{
	RUN(good_device);
	RUN(placed_above_4_gib);
	RUN(line_without_messages);
	RUN(table_outside_its_bar);
	RUN(bridges);
	RUN(no_pci);
	RUN(chain_in_a_circle);
	RUN(rejected_capabilities);
	RUN(rejected_queues);
	RUN(lying_used_ring);
	return check_failures != 0;
}

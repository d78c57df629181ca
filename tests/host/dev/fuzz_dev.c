/* Fuzzer of what PCI functions and virtio devices say of themselves. The input is the functions'
 * places and configuration spaces, then the devices' registers, then what they write into a
 * queue. */
#include <stdlib.h>
#include <string.h>

#include "dev/pci.h"
#include "dev/virtio.h"
#include "machine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void interrupt(void *unused)
{
	(void)unused;
}

static size_t take(void *to, const uint8_t **data, size_t *left, size_t want)
{
	size_t part = *left < want ? *left : want;
	if (part)
		memcpy(to, *data, part);
	*data += part;
	*left -= part;
	return part;
}

struct input {
	const uint8_t *data;
	size_t left;
};

static void use_queue(struct virtio_device *device, struct input *input)
{
	static uint8_t buffers[4][64];
	struct virtqueue queue;
	uint16_t index;
	uint32_t length;
	if (!virtqueue_init(&queue, device, 1, 4))
		return;
	for (uint16_t i = 0; i < 4; i++)
		virtqueue_offer(&queue, i, buffers[i], sizeof buffers[i], true);
	virtqueue_kick(&queue);
	take(queue.descriptors, &input->data, &input->left, 4096);
	for (unsigned i = 0; i < 100 && virtqueue_take(&queue, &index, &length); i++) {
		if (index >= 4 || length > sizeof buffers[0])
			abort();
		virtqueue_offer(&queue, index, buffers[index], sizeof buffers[index], true);
		virtqueue_kick(&queue);
	}
}

static void visit(const struct pci_function *function, void *argument)
{
	struct virtio_device device;
	if (!virtio_pci_probe(&device, function))
		return;
	if (virtio_begin(&device, interrupt))
		use_queue(&device, argument);
	virtio_interrupt_acknowledge(&device);
	virtio_fail(&device);
}

/* A good device with some bytes of its configuration space changed. */
static void damaged_console(unsigned changes, struct input *input)
{
	uint8_t change[2];
	struct fake_function *f = console_add(0, 3);
	for (unsigned i = 0; i < changes % 8 &&
		take(change, &input->data, &input->left, sizeof change) == sizeof change;
		i++)
		f->config[change[0]] = change[1];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	uint8_t head[2];
	machine_reset();
	machine.consistent = false;
	if (take(head, &input.data, &input.left, sizeof head) < sizeof head)
		return 0;
	if (head[1] & 0x40)
		damaged_console(head[0], &input);
	unsigned count = head[0] % (FUNCTIONS_MAX + 1);
	for (unsigned i = machine.count; i < count; i++) {
		machine.count++;
		struct fake_function *f = &machine.functions[i];
		take(f, &input.data, &input.left, sizeof *f);
		for (unsigned bar = 0; bar < 6; bar++)
			f->bar_shift[bar] %= 41;
		/* Without it most inputs are no virtio devices at all. */
		if (head[1] >> i & 1)
			config_set32(f, PCI_VENDOR_ID, head[1] & 0x80 ? 0x10441af4 : 0x10431af4);
	}
	take(machine.registers, &input.data, &input.left, sizeof machine.registers);
	pci_enumerate(visit, &input);
	return 0;
}

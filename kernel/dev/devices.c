/* Finds the machine's devices. The first console is the host channel, and other virtio devices are
 * kept for programs that drive them. virtio-mmio devices cannot be probed
 * for, so the virtual machine monitor appends one parameter `virtio_mmio.device=SIZE@BASE:IRQ` to
 * the command line for each. PCI is searched after that. */
#include "dev/devices.h"

#include <stddef.h>

#include "core/log.h"
#include "dev/channel.h"
#include "dev/command_line.h"
#include "dev/entropy.h"
#include "dev/pci.h"
#include "dev/pci_device.h"
#include "dev/rtc.h"
#include "dev/virtio.h"
#include "machine/clock.h"
#include "machine/interrupts.h"

#define MMIO_END (4ull << 30) /* the direct map reaches every address below */
#define MMIO_DEVICE_SIZE_MIN 0x100u
#define NS_PER_S 1000000000ll
#define DEVICES_MAX 16u

static bool device_from_word(const char *value, size_t length, struct virtio_device *device)
{
	struct mmio_device_parameter place;
	if (!command_line_mmio_device(value, length, &place) || place.base % 4 ||
		place.base >= MMIO_END || place.size < MMIO_DEVICE_SIZE_MIN ||
		place.size > MMIO_END - place.base)
		return false;
	return virtio_mmio_probe(device, phys_to_virt(place.base), place.size, place.gsi);
}

static struct device devices[DEVICES_MAX]; /* those for programs */
static unsigned device_count;

struct found_devices {
	struct virtio_device console;
	bool console_found;
};

static void device_found(struct found_devices *found, const struct virtio_device *device)
{
	if (device->id == VIRTIO_ID_CONSOLE && !found->console_found) {
		found->console = *device;
		found->console_found = true;
	} else if (virtio_type_is_open(device->id) && device_count < DEVICES_MAX) {
		struct device *kept = &devices[device_count++];
		kept->virtio = *device;
		spin_init(&kept->lock, LOCK_RANK_OBJECT);
	}
}

/* Only now, because the kernel may have asked the entropy device. One without an interrupt is
 * left out. */
static void prepare_devices(void)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < device_count; i++) {
		const struct interrupt_handler handler = { device_interrupted, &devices[kept] };
		devices[kept].virtio = devices[i].virtio;
		if (devices[kept].virtio.transport->prepare(&devices[kept].virtio, handler))
			kept++;
	}
	device_count = kept;
}

struct device *device_find(uint64_t number)
{
	return number < device_count ? &devices[number] : NULL;
}

static const struct virtio_device *entropy_device(void)
{
	for (unsigned i = 0; i < device_count; i++)
		if (devices[i].virtio.id == VIRTIO_ID_ENTROPY)
			return &devices[i].virtio;
	return NULL;
}

static void function_found(const struct pci_function *function, void *argument)
{
	struct virtio_device device;
	if (virtio_pci_probe(&device, function))
		device_found(argument, &device);
	else
		pci_device_add(function);
}

static void wall_clock_init(void)
{
	int64_t unix_s;
	if (rtc_read(&unix_s))
		clock_set_wall(unix_s * NS_PER_S);
	else
		log_printf("capos: no wall clock: time begins in 1970");
}

void devices_init(const char *command_line)
{
	struct found_devices found = { .console_found = false };
	struct virtio_device device;
	const char *line = command_line, *value;
	size_t length;
	while (command_line_next(&line, "virtio_mmio.device", &value, &length)) {
		if (device_from_word(value, length, &device))
			device_found(&found, &device);
	}
	pci_enumerate(function_found, &found);
	channel_init(command_line, found.console_found ? &found.console : NULL);
	entropy_init(entropy_device());
	prepare_devices();
	wall_clock_init();
}

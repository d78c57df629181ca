/* Finds the devices the command line names and hands each to its driver. virtio-mmio devices cannot be probed for;
 * the machine's maker appends one `virtio_mmio.device=SIZE@BASE:IRQ` word for each. */
#include "dev/devices.h"

#include <stddef.h>

#include "core/log.h"
#include "dev/channel.h"
#include "dev/command_line.h"
#include "dev/rtc.h"
#include "dev/virtio.h"
#include "object/entropy.h"
#include "sched/clock.h"

#define MMIO_END (4ull << 30) /* the direct map reaches every address below */
#define MMIO_DEVICE_SIZE_MIN 0x100u
#define NS_PER_S 1000000000ll

static bool device_from_word(const char *value, size_t length, struct virtio_device *device)
{
	struct mmio_device_word word;
	if (!command_line_mmio_device(value, length, &word) || word.base % 4 || word.base >= MMIO_END ||
	    word.size < MMIO_DEVICE_SIZE_MIN || word.size > MMIO_END - word.base)
		return false;
	*device = (struct virtio_device){ .registers = phys_to_virt(word.base), .gsi = word.gsi };
	return virtio_probe(device);
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
	struct virtio_device device, console, rng;
	bool console_found = false, rng_found = false;
	const char *at = command_line, *value;
	size_t length;
	while (command_line_next(&at, "virtio_mmio.device", &value, &length)) {
		if (!device_from_word(value, length, &device))
			continue;
		if (device.id == VIRTIO_ID_CONSOLE && !console_found) {
			console = device;
			console_found = true;
		} else if (device.id == VIRTIO_ID_ENTROPY && !rng_found) {
			rng = device;
			rng_found = true;
		}
	}
	channel_init(command_line, console_found ? &console : NULL);
	entropy_init(rng_found ? &rng : NULL);
	wall_clock_init();
}

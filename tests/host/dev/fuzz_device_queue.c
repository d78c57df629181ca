/* Fuzzing a device queue: see queue_steps.h. */
#include "queue_steps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *at, *end;

static uint64_t take(size_t bytes)
{
	uint64_t value = 0;
	for (size_t i = 0; i < bytes && at < end; i++)
		value = value << 8 | *at++;
	return value;
}

static void driver_step(void)
{
	struct capos_device_buffer buffers[4];
	size_t count = take(1) % 5;
	for (size_t i = 0; i < count; i++)
		buffers[i] = (struct capos_device_buffer){
			.offset = take(1) % 8 ? take(2) : take(8),
			.length = (uint32_t)(take(1) % 8 ? take(2) : take(4)),
			.flags = (uint32_t)take(1) % 8 ? (uint32_t)take(1) & 1 : (uint32_t)take(4),
		};
	if (count)
		steps_submit(buffers, count);
}

/* Mostly as it should; now and then anywhere in its ring. */
static void device_step(void)
{
	switch (take(1) % 8) {
	case 0:
		steps_finish((uint32_t)take(4), (uint32_t)take(4));
		break;
	case 1:
		steps.queue.used[take(1) % (2 + 4 * steps.queue.size)] = (uint16_t)take(2);
		break;
	default:
		steps_finish((uint32_t)take(1) % steps.queue.size, (uint32_t)take(2));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	at = data;
	end = data + size;
	steps_begin(1u << take(1) % 7);
	while (at < end) {
		if (take(1) % 2)
			driver_step();
		else
			device_step();
		if (!steps_are_good() || !steps_collect() || !steps_are_good())
			abort();
	}
	return 0;
}

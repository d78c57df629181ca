/* EntropySource and EntropySeed: random bytes of the kernel's generator, dev/entropy.c, and bytes
 * for it. */
#include "call/call.h"
#include "core/string.h"
#include "dev/entropy.h"
#include "kernel/methods.h"
#include "sched/sched.h"

#define FILL_BYTES_MAX 65536u
#define STEP_BYTES 4096u /* made with interrupts off */

status_t method_entropy_source_fill(struct call *call, const struct entropy_source_fill_params *in,
	struct entropy_source_fill_results *out)
{
	struct entropy_stream stream;
	uint8_t block[ENTROPY_BLOCK_BYTES];
	status_t status = STATUS_OK;
	if (in->length > FILL_BYTES_MAX || in->length > out->data.capacity) {
		call->detail =
			out->data.capacity < FILL_BYTES_MAX ? out->data.capacity : FILL_BYTES_MAX;
		return STATUS(INVALID_ARGUMENT);
	}
	if (!entropy_begin(&stream))
		return STATUS(NOT_SEEDED);
	while (out->data.length < in->length && status == STATUS_OK) {
		size_t left = in->length - out->data.length;
		entropy_next(&stream, block);
		status = buffer_write(&out->data, block, left < sizeof block ? left : sizeof block);
		if (out->data.length % STEP_BYTES == 0)
			sched_preemption_point();
	}
	entropy_end(&stream);
	memory_wipe(block, sizeof block);
	return status;
}

status_t method_entropy_source_status(struct call *call,
	const struct entropy_source_status_params *in, struct entropy_source_status_results *out)
{
	(void)call;
	(void)in;
	out->sources = entropy_sources();
	return STATUS_OK;
}

status_t method_entropy_seed_add(struct call *call, const struct entropy_seed_add_params *in,
	struct entropy_seed_add_results *out)
{
	uint8_t bytes[CAPOS_ENTROPY_SEED_MAX];
	(void)call;
	(void)out;
	if (!in->data.length || in->data.length > sizeof bytes)
		return STATUS(INVALID_ARGUMENT);
	status_t status = buffer_read(&in->data, 0, bytes, in->data.length);
	if (status == STATUS_OK)
		entropy_add(bytes, in->data.length);
	memory_wipe(bytes, sizeof bytes);
	return status;
}

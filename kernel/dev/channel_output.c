/* Output ring of the host channel: see channel_output.h. */
#include "dev/channel_output.h"

#include "core/log.h"
#include "core/string.h"

void channel_output_init(struct channel_output *output, void *buffer, size_t size, size_t reserve)
{
	*output = (struct channel_output){ .buffer = buffer, .size = size, .reserve = reserve };
}

static size_t room_of(const struct channel_output *output)
{
	return output->size - (size_t)(output->written - output->sent);
}

bool channel_output_fits(const struct channel_output *output, size_t size, bool bulk)
{
	if (!bulk)
		return size <= room_of(output);
	return size + output->reserve <= room_of(output) &&
		(!output->limited || output->credit > 0);
}

void channel_output_charge(struct channel_output *output, size_t size)
{
	output->credit -= (int64_t)size;
}

void channel_output_append(struct channel_output *output, const void *bytes, size_t size)
{
	ASSERT(size <= room_of(output));
	size_t end = (size_t)(output->written % output->size);
	size_t first = size < output->size - end ? size : output->size - end;
	memcpy(output->buffer + end, bytes, first);
	memcpy(output->buffer, (const uint8_t *)bytes + first, size - first);
	output->written += size;
}

void channel_output_grant(struct channel_output *output, uint32_t bytes)
{
	output->limited = true;
	output->credit += bytes;
}

size_t channel_output_next(const struct channel_output *output, const uint8_t **bytes)
{
	size_t start = (size_t)(output->started % output->size);
	size_t left = (size_t)(output->written - output->started);
	*bytes = output->buffer + start;
	return left < output->size - start ? left : output->size - start;
}

void channel_output_started(struct channel_output *output, size_t size)
{
	ASSERT(size <= output->written - output->started);
	output->started += size;
}

void channel_output_sent(struct channel_output *output, size_t size)
{
	ASSERT(size <= output->started - output->sent);
	output->sent += size;
}

/* The sending half of the host channel without the machine: a ring of bytes between writers
 * and the device, and the count of what the host allows. Pure, so that it is tested on the host.
 *
 * The host says how many bytes of bulk messages (program output, files, traces) it takes; so it can
 * take them as they come, and what it has no use for yet waits here. Other messages are few, and
 * are not counted. Before the host has said anything there is no limit. */
#ifndef CAPOS_DEV_CHANNEL_OUTPUT_H
#define CAPOS_DEV_CHANNEL_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct channel_output {
	uint8_t *buffer;
	size_t size, reserve; /* bulk messages leave the last `reserve` bytes of room alone */
	/* Bytes so far: put into the ring, given to the device, no longer needed by it. */
	uint64_t written, started, sent;
	bool limited;
	/* Bytes of bulk messages that may still go out; one message may overdraw it. */
	int64_t credit;
};

void channel_output_init(struct channel_output *output, void *buffer, size_t size, size_t reserve);

/* Whether a message of so many bytes may be put in now. */
bool channel_output_fits(const struct channel_output *output, size_t size, bool bulk);
/* Counts a bulk message that is put in. */
void channel_output_charge(struct channel_output *output, size_t size);
/* There is room for the bytes. */
void channel_output_append(struct channel_output *output, const void *bytes, size_t size);
/* The host takes so many bytes more. */
void channel_output_grant(struct channel_output *output, uint32_t bytes);

/* The next bytes for the device, as far as they lie together; 0: none. They stay where they are
 * until they count as sent. */
size_t channel_output_next(const struct channel_output *output, const uint8_t **bytes);
/* The device has taken so many of them. */
void channel_output_started(struct channel_output *output, size_t size);
/* So many of those taken have left it, in order. */
void channel_output_sent(struct channel_output *output, size_t size);

static inline bool channel_output_is_empty(const struct channel_output *output)
{
	return output->written == output->sent;
}

#endif

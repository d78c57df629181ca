/* The receiving half of the host channel, without the machine: it takes messages apart, keeps
 * standard input in a ring buffer and collects keys. Pure, so that it is tested on the host. */
#ifndef CAPOS_DEV_CHANNEL_INPUT_H
#define CAPOS_DEV_CHANNEL_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct channel_input {
	/* Standard input. start and count run inside buffer; the `held` bytes before start have
	 * been taken but may still be put back, and count as used. */
	uint8_t *buffer;
	size_t size;
	size_t start, count, held;
	bool ended;

	/* Keys received and not yet handled, a bit for each NotificationKind. */
	uint64_t keys;
	/* The host has asked what the processes are doing, and was not yet answered. */
	bool look;
	/* What the host has granted and the sending half has not been told. */
	uint32_t granted;

	/* The message being received. */
	uint8_t header[8];
	uint32_t header_count;
	uint8_t type;
	uint32_t payload_left;
	uint32_t number; /* of a credit message, as far as it has come */
};

void channel_input_init(struct channel_input *input, void *buffer, size_t size);
/* How many bytes can be fed now; 0 while standard input has no room. */
size_t channel_input_room(const struct channel_input *input);
/* Takes size bytes, at most channel_input_room() of them. */
void channel_input_feed(struct channel_input *input, const uint8_t *bytes, size_t size);
/* Takes bytes out, up to size; they are held until one of the two below has had them all. */
size_t channel_input_take(struct channel_input *input, void *to, size_t size);
/* They have arrived: their room is free. */
void channel_input_keep(struct channel_input *input, size_t size);
/* They have not: they are in front again. */
void channel_input_put_back(struct channel_input *input, const void *from, size_t size);

#endif

/* See channel_pair.h. Bytes are numbered, so that a lost, repeated or moved one shows. */
#include "channel_pair.h"

#include <string.h>

#include <capos/abi.h>

#include "dev/channel_input.h"
#include "dev/channel_output.h"

#define OUTPUT_BYTES 200u
#define RESERVE_BYTES 30u
#define INPUT_BYTES 150u
#define IN_DEVICE_MAX 64u
#define TAKEN_MAX 32u

#define REQUIRE(condition)            \
	do {                          \
		if (!(condition))     \
			return false; \
	} while (0)

static uint8_t output_buffer[OUTPUT_BYTES], input_buffer[INPUT_BYTES];
static struct channel_output output;
static struct channel_input input;

/* The other side. */
static uint64_t bulk_put, granted_to_guest;  /* bytes */
static uint8_t next_put, next_seen;          /* numbers of output bytes */
static uint64_t in_device;                   /* bytes started and not sent */
static uint64_t granted_to_host, stdin_sent; /* bytes */
static uint8_t next_typed, next_read;        /* numbers of input bytes */
static uint8_t taken[TAKEN_MAX];             /* read and not settled */
static size_t taken_size;
static uint32_t credit_sent;
static uint64_t keys_sent;

void channel_pair_begin(void)
{
	channel_output_init(&output, output_buffer, sizeof output_buffer, RESERVE_BYTES);
	channel_input_init(&input, input_buffer, sizeof input_buffer);
	bulk_put = granted_to_guest = in_device = stdin_sent = keys_sent = 0;
	granted_to_host = INPUT_BYTES;
	next_put = next_seen = next_typed = next_read = 0;
	taken_size = 0;
	credit_sent = 0;
}

/* ---- output ---- */

static bool put(uint8_t amount, bool bulk)
{
	uint8_t bytes[128];
	size_t size = 1 + amount % sizeof bytes;
	size_t room = OUTPUT_BYTES - (size_t)(output.written - output.sent);
	bool allowed = !granted_to_guest || bulk_put < granted_to_guest;
	bool fits = channel_output_fits(&output, size, bulk);
	REQUIRE(fits == (bulk ? allowed && size + RESERVE_BYTES <= room : size <= room));
	if (!fits)
		return true;
	for (size_t i = 0; i < size; i++)
		bytes[i] = next_put++;
	channel_output_append(&output, bytes, size);
	if (bulk) {
		channel_output_charge(&output, size);
		bulk_put += size;
	}
	return true;
}

static bool start(uint8_t amount)
{
	const uint8_t *bytes;
	size_t size = channel_output_next(&output, &bytes);
	size_t part = amount % 64u;
	if (part > size)
		part = size;
	if (in_device + part > IN_DEVICE_MAX)
		return true;
	REQUIRE(size == 0 ? output.started == output.written
			  : bytes >= output_buffer && bytes + size <= output_buffer + OUTPUT_BYTES);
	for (size_t i = 0; i < part; i++)
		REQUIRE(bytes[i] == next_seen++);
	channel_output_started(&output, part);
	in_device += part;
	return true;
}

static bool finish(uint8_t amount)
{
	size_t part = amount < in_device ? amount : in_device;
	channel_output_sent(&output, part);
	in_device -= part;
	REQUIRE(channel_output_is_empty(&output) == (output.written == output.sent));
	return true;
}

static bool grant(uint8_t amount)
{
	granted_to_guest += amount;
	if (granted_to_guest)
		channel_output_grant(&output, amount);
	return true;
}

/* ---- input ---- */

/* In pieces of any size; a host that keeps to its credit never waits for room. */
static bool feed(const uint8_t *bytes, size_t size, uint8_t amount)
{
	while (size) {
		size_t part = 1 + amount % 7u;
		size_t room = channel_input_room(&input);
		REQUIRE(room);
		part = part < size ? part : size;
		part = part < room ? part : room;
		channel_input_feed(&input, bytes, part);
		bytes += part;
		size -= part;
	}
	return true;
}

static bool send(uint8_t type, const uint8_t *payload, uint32_t size, uint8_t amount)
{
	uint8_t header[8] = { type };
	memcpy(header + 4, &size, sizeof size);
	return feed(header, sizeof header, amount) && feed(payload, size, amount);
}

static bool type(uint8_t amount)
{
	uint8_t bytes[64];
	size_t size = amount % sizeof bytes;
	if (size > granted_to_host - stdin_sent)
		size = granted_to_host - stdin_sent;
	for (size_t i = 0; i < size; i++)
		bytes[i] = next_typed++;
	stdin_sent += size;
	return send(CAPOS_HOST_MESSAGE_STDIN, bytes, (uint32_t)size, amount);
}

static bool other(uint8_t amount)
{
	uint8_t bytes[8] = { CAPOS_NOTIFICATION_KIND_INTERRUPT };
	uint32_t credit = amount * 1000u;
	if (amount % 3 == 0) {
		keys_sent |= 1ull << CAPOS_NOTIFICATION_KIND_INTERRUPT;
		return send(CAPOS_HOST_MESSAGE_KEY, bytes, 1, amount);
	}
	if (amount % 3 == 1)
		return send(200, bytes, amount % sizeof bytes, amount);
	memcpy(bytes, &credit, sizeof credit);
	credit_sent += credit;
	return send(CAPOS_HOST_MESSAGE_CREDIT, bytes, sizeof credit, amount);
}

static bool take(uint8_t amount)
{
	if (taken_size)
		return true;
	taken_size = channel_input_take(&input, taken, amount % TAKEN_MAX);
	for (size_t i = 0; i < taken_size; i++)
		REQUIRE(taken[i] == (uint8_t)(next_read + i));
	return true;
}

static bool settle(uint8_t amount)
{
	if (amount % 4 == 0) {
		channel_input_put_back(&input, taken, taken_size);
	} else {
		channel_input_keep(&input, taken_size);
		next_read = (uint8_t)(next_read + taken_size);
		granted_to_host += taken_size;
	}
	taken_size = 0;
	return true;
}

bool channel_pair_step(uint8_t what, uint8_t amount)
{
	bool done = what % 9 == 0 ? put(amount, true)
		: what % 9 == 1   ? put(amount, false)
		: what % 9 == 2   ? start(amount)
		: what % 9 == 3   ? finish(amount)
		: what % 9 == 4   ? grant(amount)
		: what % 9 == 5   ? type(amount)
		: what % 9 == 6   ? other(amount)
		: what % 9 == 7   ? take(amount)
				  : settle(amount);
	REQUIRE(done);
	REQUIRE(output.sent <= output.started && output.started <= output.written);
	REQUIRE(output.written - output.sent <= OUTPUT_BYTES);
	REQUIRE(input.count + input.held <= INPUT_BYTES && input.held == taken_size);
	REQUIRE(input.keys == keys_sent && input.granted == credit_sent && !input.ended);
	return true;
}

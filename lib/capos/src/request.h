/* A method call in message form, as the generated stubs make it: parameters are written into one
 * buffer, results come back in another; both are one allocation, or none when they are small. */
#ifndef LIBCAPOS_REQUEST_H
#define LIBCAPOS_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include <capos/call.h>

struct request {
	uint8_t *params; /* framing, root pointer, data, pointers, lists */
	uint8_t *result;
	void *allocated;     /* what request_end frees */
	size_t params_bytes; /* written so far */
	size_t result_bytes;
	uint32_t data_words;
	capos_cap_t returned_cap;
	uint64_t small[64];
};

/* A size that no message can hold stays too large, also when two such are added. */
static inline size_t request_padded(size_t size_bytes)
{
	return size_bytes > CAPOS_MESSAGE_BYTES_MAX ? SIZE_MAX / 4 : (size_bytes + 7) & ~(size_t)7;
}

/* Begins a parameters message with room for lists of list_bytes. 0 or an error. */
int64_t request_begin(
	struct request *request, uint32_t data_words, uint32_t pointer_words, size_t list_bytes);

void request_set_scalar(
	struct request *request, uint32_t byte_offset, uint32_t width, uint64_t value);
void request_set_bytes(
	struct request *request, uint32_t pointer_index, const void *bytes, size_t length);

/* Sends the message and waits. The result struct has the given shape; list_bytes is the most that a
 * Data result may have. Returns 0 or a negative error; an error of the method has been taken from
 * its CapException. */
int64_t request_send(struct request *request, capos_cap_t cap, uint32_t method, uint32_t data_words,
	uint32_t pointer_words, size_t list_bytes);

uint64_t request_get_scalar(const struct request *request, uint32_t byte_offset, uint32_t width);

/* Copies a Data result out, as much as fits; the length copied, or malformedMessage. */
int64_t request_get_bytes(
	const struct request *request, uint32_t pointer_index, void *buffer, size_t capacity);

void request_end(struct request *request);

#endif

/* Method calls in message form: see request.h. The wire format is described in Cap'n Proto's
 * encoding specification; here only one segment, one struct and byte lists occur. */
#include "request.h"

#include <stdlib.h>
#include <string.h>

#define FRAMING_BYTES 8
#define WORD 8

/* Room that every result buffer has besides the result proper: a CapException is at most this long.
 */
#define EXCEPTION_BYTES 256

static uint64_t load(const uint8_t *word)
{
	uint64_t value;

	memcpy(&value, word, sizeof(value));
	return value;
}

static void store(uint8_t *word, uint64_t value)
{
	memcpy(word, &value, sizeof(value));
}

int64_t request_begin(
	struct request *request, uint32_t data_words, uint32_t pointer_words, size_t list_bytes)
{
	size_t prefix = FRAMING_BYTES + WORD * (1 + (size_t)data_words + pointer_words);
	size_t total = prefix + list_bytes;

	if (total > CAPOS_MESSAGE_BYTES_MAX)
		return CAPOS_TRANSPORT_E(INVALID_PARAMS_BUFFER); /* the kernel's error for this */
	request->allocated = NULL;
	request->params = (uint8_t *)request->small;
	/* Half of the small buffer is kept for the result. */
	if (total > sizeof(request->small) / 2) {
		request->allocated = malloc(total);
		if (request->allocated == NULL)
			return CAPOS_E(NO_MEMORY);
		request->params = request->allocated;
	}
	memset(request->params, 0, prefix);
	request->params_bytes = prefix;
	request->data_words = data_words;
	request->returned_cap = 0;
	if (data_words + pointer_words == 0)
		store(request->params + FRAMING_BYTES,
			0xfffffffc); /* an empty struct, which a zero would not be */
	else
		store(request->params + FRAMING_BYTES,
			(uint64_t)data_words << 32 | (uint64_t)pointer_words << 48);
	return 0;
}

void request_set_scalar(
	struct request *request, uint32_t byte_offset, uint32_t width, uint64_t value)
{
	memcpy(request->params + FRAMING_BYTES + WORD + byte_offset, &value, width);
}

void request_set_bytes(
	struct request *request, uint32_t pointer_index, const void *bytes, size_t length)
{
	size_t pointer = FRAMING_BYTES + WORD * (1 + (size_t)request->data_words + pointer_index);
	uint64_t offset = (request->params_bytes - pointer - WORD) / WORD;

	store(request->params + pointer,
		1 | offset << 2 | (uint64_t)2 << 32 | (uint64_t)length << 35);
	if (length != 0)
		memcpy(request->params + request->params_bytes, bytes, length);
	memset(request->params + request->params_bytes + length, 0,
		request_padded(length) - length);
	request->params_bytes += request_padded(length);
}

/* The root struct of the result: its data section, and the two sections' sizes in words. */
static const uint8_t *result_root(
	const struct request *request, uint32_t *data_words, uint32_t *pointer_words)
{
	uint64_t pointer;
	int64_t start;

	*data_words = *pointer_words = 0;
	if (request->result_bytes < FRAMING_BYTES + WORD)
		return NULL;
	pointer = load(request->result + FRAMING_BYTES);
	start = ((int32_t)(uint32_t)pointer >> 2) + 1;
	if (pointer == 0 || (pointer & 3) != 0 || start < 0)
		return NULL;
	*data_words = (pointer >> 32) & 0xffff;
	*pointer_words = (uint32_t)(pointer >> 48);
	if (FRAMING_BYTES + WORD * ((uint64_t)start + *data_words + *pointer_words) >
		request->result_bytes) {
		*data_words = *pointer_words = 0;
		return NULL;
	}
	return request->result + FRAMING_BYTES + WORD * (size_t)start;
}

uint64_t request_get_scalar(const struct request *request, uint32_t byte_offset, uint32_t width)
{
	uint32_t data_words, pointer_words;
	const uint8_t *data = result_root(request, &data_words, &pointer_words);
	uint64_t value = 0;

	if (data != NULL && byte_offset + width <= WORD * data_words)
		memcpy(&value, data + byte_offset, width);
	return value;
}

int64_t request_get_bytes(
	const struct request *request, uint32_t pointer_index, void *buffer, size_t capacity)
{
	uint32_t data_words, pointer_words;
	const uint8_t *data = result_root(request, &data_words, &pointer_words);
	const uint8_t *slot, *list, *end = request->result + request->result_bytes;
	uint64_t pointer, length;

	if (data == NULL || pointer_index >= pointer_words)
		return 0;
	slot = data + WORD * ((size_t)data_words + pointer_index);
	pointer = load(slot);
	if (pointer == 0)
		return 0;
	list = slot + WORD + WORD * (int64_t)((int32_t)(uint32_t)pointer >> 2);
	length = pointer >> 35;
	if ((pointer & 3) != 1 || (pointer >> 32 & 7) != 2 || list < request->result ||
		list > end || length > (uint64_t)(end - list))
		return CAPOS_E(MALFORMED_MESSAGE);
	if (length > capacity)
		length = capacity;
	if (length != 0)
		memcpy(buffer, list, length);
	return (int64_t)length;
}

/* The place of the results: behind the parameters when both are small, otherwise an allocation for
 * both. */
static int64_t place_result(struct request *request, size_t capacity)
{
	size_t params = request_padded(request->params_bytes);
	uint8_t *grown;

	if (request->allocated == NULL && params + capacity <= sizeof(request->small)) {
		request->result = request->params + params;
		return 0;
	}
	grown = malloc(params + capacity);
	if (grown == NULL)
		return CAPOS_E(NO_MEMORY);
	memcpy(grown, request->params, request->params_bytes);
	free(request->allocated);
	request->allocated = grown;
	request->params = grown;
	request->result = grown + params;
	return 0;
}

int64_t request_send(struct request *request, capos_cap_t cap, uint32_t method, uint32_t data_words,
	uint32_t pointer_words, size_t list_bytes)
{
	uint32_t framing[2] = { 0, (uint32_t)((request->params_bytes - FRAMING_BYTES) / WORD) };
	size_t capacity = FRAMING_BYTES + WORD * (1 + (size_t)data_words + pointer_words);
	struct capos_completion completion;
	struct capos_submission submission;
	int64_t status;

	/* No result is longer than the kernel's bound, however much room the caller has. */
	if (list_bytes > CAPOS_MESSAGE_BYTES_MAX - capacity)
		list_bytes = (CAPOS_MESSAGE_BYTES_MAX - capacity) & ~(size_t)7;
	capacity += request_padded(list_bytes);
	if (capacity < EXCEPTION_BYTES)
		capacity = EXCEPTION_BYTES;
	memcpy(request->params, framing, sizeof(framing));
	status = place_result(request, capacity);
	if (status < 0)
		return status;
	submission = (struct capos_submission){
		.opcode = CAPOS_OPCODE_CALL,
		.method = (uint16_t)method,
		.cap = cap,
		.args = { (uintptr_t)request->params, request->params_bytes,
			(uintptr_t)request->result, capacity, 0, 0 },
	};
	status = capos_ring_do(&submission, &completion);
	if (status == CAPOS_TRANSPORT_E(APPLICATION_EXCEPTION)) {
		request->result_bytes = capacity;
		return -(int64_t)(CAPOS_ERROR_BASE +
			request_get_scalar(request, CAPOS_CAP_EXCEPTION_CODE_BYTE, 2));
	}
	if (status < 0)
		return status;
	request->result_bytes = (size_t)status;
	request->returned_cap = completion.cap;
	return 0;
}

void request_end(struct request *request)
{
	free(request->allocated);
}

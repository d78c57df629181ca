/* libFuzzer target: any bytes as a call of any method. The first byte chooses the method, the
 * second the form. Parameters that the decoder accepts are read to the last byte. Then the results
 * are written into a buffer of a chosen size. */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

#include "call/message.h"

static uint8_t sum;

static void touch(const struct buffer_in *in)
{
	for (size_t i = 0; in->kernel != NULL && i < in->length; i++)
		sum += ((const uint8_t *)in->kernel)[i];
}

static void touch_params(const struct method_desc *method, const void *params)
{
	for (uint32_t i = 0; i < method->params.count; i++) {
		const struct field_desc *field = &method->params.fields[i];
		const char *bytes = (const char *)params + field->offset;

		if (field->kind == FIELD_DATA || field->kind == FIELD_TEXT) {
			touch((const struct buffer_in *)bytes);
		} else if (field->width < 8) {
			uint64_t value;

			memcpy(&value, bytes, sizeof(value));
			if (field->kind == FIELD_UNSIGNED && value >> (field->width * 8) != 0)
				abort();
		}
	}
}

static void fuzz_words(const struct method_desc *method, const uint8_t *data, size_t size)
{
	union method_params params;
	union method_results results;
	struct word_results place;
	uint64_t arguments[6] = { 0 }, word;

	memcpy(arguments, data, size < sizeof(arguments) ? size : sizeof(arguments));
	memset(window, size > 0 ? data[size - 1] : 0, sizeof(window));
	if (decode_arguments(method, arguments, size & 1 ? 5 : 6, &params, &results, &place) !=
		STATUS_OK)
		return;
	touch_params(method, &params);
	/* The handler left zeros, so only a capability gives a word, its id. */
	if (results_to_word(method, &results, &place, 1, &word) == STATUS_OK &&
		word != ((method->flags & METHOD_RETURNS_CAP) != 0))
		abort();
}

static void fuzz_message(const struct method_desc *method, const uint8_t *data, size_t size)
{
	union method_params params;
	union method_results results;
	uint8_t *copy, *buffer;
	size_t capacity;

	copy = malloc(size > 0 ? size : 1);
	memcpy(copy, data, size);
	if (decode_params_message(method, copy, size, &params) == STATUS_OK)
		touch_params(method, &params);
	capacity = size > 0 ? data[0] : 0;
	buffer = malloc(capacity > 0 ? capacity : 1);
	if (results_begin_message(method, &results, buffer, capacity) == STATUS_OK) {
		struct message_struct root;

		if ((method->flags & METHOD_RETURNS_DATA) != 0) {
			struct buffer_out *out = (struct buffer_out *)((char *)&results +
				method->results.fields[0].offset);

			if (buffer_write(out, data, size) != STATUS_OK)
				abort();
		}
		/* The reader accepts what the writer writes. */
		if (message_open(&root, buffer, results_end_message(method, &results, buffer)) !=
			STATUS_OK)
			abort();
	}
	free(buffer);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct interface_desc *desc;
	uint32_t choice;

	if (size < 2)
		return 0;
	choice = data[0];
	desc = &interface_descs[choice % INTERFACE_COUNT];
	if (desc->method_count == 0)
		return 0;
	if ((data[1] & 1) != 0)
		fuzz_words(&desc->methods[choice / INTERFACE_COUNT % desc->method_count], data + 2,
			size - 2);
	else
		fuzz_message(&desc->methods[choice / INTERFACE_COUNT % desc->method_count],
			data + 2, size - 2);
	return 0;
}

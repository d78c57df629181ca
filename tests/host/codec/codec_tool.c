/* The codec as a filter, for comparison with another implementation of Cap'n Proto:
 *
 *     codec_tool decode Interface.method < message
 *     codec_tool encode Interface.method VALUE...
 *
 * The first prints a line "field value" for each parameter, bytes in hexadecimal. The second writes
 * the result message with the values given in order. */
#include "harness.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint8_t input[65536];
static uint8_t output[65536];

static int decode(const struct method_desc *method)
{
	size_t size = fread(input, 1, sizeof(input), stdin);
	union method_params params;
	status_t status = decode_params_message(method, input, size, &params);

	if (status != STATUS_OK) {
		fprintf(stderr, "status %d\n", status);
		return 1;
	}
	for (uint32_t i = 0; i < method->params.count; i++) {
		const struct field_desc *field = &method->params.fields[i];
		const char *bytes = (const char *)&params + field->offset;

		printf("%s ", field->name);
		if (field->kind == FIELD_UNSIGNED) {
			printf("%" PRIu64, *(const uint64_t *)bytes);
		} else if (field->kind == FIELD_SIGNED) {
			printf("%" PRId64, *(const int64_t *)bytes);
		} else {
			const struct buffer_in *data = (const struct buffer_in *)bytes;

			for (size_t b = 0; b < data->length; b++)
				printf("%02x", ((const uint8_t *)data->kernel)[b]);
		}
		printf("\n");
	}
	return 0;
}

static int encode(const struct method_desc *method, char **values, int count)
{
	union method_results results;

	if (count < method->results.count ||
		results_begin_message(method, &results, output, sizeof(output)) != STATUS_OK)
		return 1;
	for (uint32_t i = 0; i < method->results.count; i++) {
		const struct field_desc *field = &method->results.fields[i];
		char *bytes = (char *)&results + field->offset;

		if (field->kind == FIELD_UNSIGNED)
			*(uint64_t *)bytes = strtoull(values[i], NULL, 10);
		else if (field->kind == FIELD_SIGNED)
			*(int64_t *)bytes = strtoll(values[i], NULL, 10);
		else if (field->kind == FIELD_DATA &&
			buffer_write((struct buffer_out *)bytes, values[i], strlen(values[i])) !=
				STATUS_OK)
			return 1;
	}
	fwrite(output, 1, results_end_message(method, &results, output), stdout);
	return 0;
}

int main(int argc, char **argv)
{
	const struct method_desc *method = argc > 2 ? find_method(argv[2]) : NULL;

	if (method != NULL && strcmp(argv[1], "decode") == 0)
		return decode(method);
	if (method != NULL && strcmp(argv[1], "encode") == 0)
		return encode(method, argv + 3, argc - 3);
	if (argc > 1 && strcmp(argv[1], "exception") == 0) {
		fwrite(output, 1, encode_exception(output, sizeof(output), STATUS(NO_MEMORY), 77),
			stdout);
		return 0;
	}
	fprintf(stderr,
		"usage: codec_tool decode|encode Interface.method [VALUE...] | exception\n");
	return 2;
}

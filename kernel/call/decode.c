/* The interpreter of field descriptors: see decode.h. Like message.c it uses no kernel service but
 * the two functions that copy from and to the caller's memory. */
#include "call/decode.h"

#include "call/message.h"
#include "kernel/methods.h"

static void *field_at(void *structure, const struct field_desc *field)
{
	return (char *)structure + field->offset;
}

static const void *field_at_const(const void *structure, const struct field_desc *field)
{
	return (const char *)structure + field->offset;
}

static int64_t sign_extend(uint64_t value, uint32_t width)
{
	uint32_t shift = 64 - width * 8;

	return (int64_t)(value << shift) >> shift;
}

static void store_scalar(void *structure, const struct field_desc *field, uint64_t value)
{
	if (field->kind == FIELD_SIGNED)
		value = (uint64_t)sign_extend(value, field->width);
	__builtin_memcpy(field_at(structure, field), &value, sizeof(value));
}

static uint64_t load_scalar(const void *structure, const struct field_desc *field)
{
	uint64_t value;

	__builtin_memcpy(&value, field_at_const(structure, field), sizeof(value));
	return value;
}

static int is_scalar(const struct field_desc *field)
{
	return field->kind == FIELD_UNSIGNED || field->kind == FIELD_SIGNED;
}

/* ---- parameters ---- */

status_t decode_params_message(
	const struct method_desc *desc, const void *message, size_t size, void *params)
{
	struct message_struct root;
	status_t status = message_open(&root, message, size);

	if (status != STATUS_OK)
		return status;
	for (uint32_t i = 0; i < desc->params.count; i++) {
		const struct field_desc *field = &desc->params.fields[i];
		struct buffer_in *data;

		if (is_scalar(field)) {
			store_scalar(params, field,
				message_read_scalar(&root, field->wire_position, field->width));
			continue;
		}
		data = field_at(params, field);
		data->user = user_ptr(0);
		status = message_read_bytes(&root, field->wire_position, field->kind == FIELD_TEXT,
			&data->kernel, &data->length);
		if (status != STATUS_OK)
			return status;
	}
	return STATUS_OK;
}

status_t decode_words(const struct method_desc *desc, const uint64_t *words, void *params,
	void *results, struct word_results *place)
{
	for (uint32_t i = 0; i < desc->params.count; i++) {
		const struct field_desc *field = &desc->params.fields[i];

		if (is_scalar(field)) {
			if (!word_fits(field, *words))
				return STATUS(INVALID_ARGUMENT);
			store_scalar(params, field, *words++);
		} else {
			*(struct buffer_in *)field_at(params, field) =
				(struct buffer_in){ .user = user_ptr(words[0]),
					.length = words[1] };
			words += 2;
		}
	}
	__builtin_memset(results, 0, desc->results.size);
	place->array = user_ptr(0);
	if ((desc->flags & METHOD_RETURNS_DATA) != 0)
		*(struct buffer_out *)field_at(results, desc->results.fields) =
			(struct buffer_out){ .user = user_ptr(words[0]), .capacity = words[1] };
	else if ((desc->flags & METHOD_RESULT_ARRAY) != 0)
		place->array = user_ptr(words[0]);
	return STATUS_OK;
}

status_t decode_arguments(const struct method_desc *desc, const uint64_t *arguments, size_t count,
	void *params, void *results, struct word_results *place)
{
	uint64_t words[METHOD_WORDS_MAX];

	if (desc->words <= count)
		return decode_words(desc, arguments, params, results, place);
	if (copy_from_user(words, user_ptr(arguments[0]), desc->words * sizeof(words[0])) !=
		STATUS_OK)
		return STATUS_TRANSPORT(INVALID_PARAMS_BUFFER);
	return decode_words(desc, words, params, results, place);
}

/* ---- results ---- */

status_t results_begin_message(
	const struct method_desc *desc, void *results, void *buffer, size_t capacity)
{
	uint32_t data_words = desc->results.data_words;
	uint32_t pointer_words = desc->results.pointer_words;
	size_t prefix = message_prefix_bytes(data_words, pointer_words);

	if (capacity < prefix)
		return STATUS_TRANSPORT(INVALID_RESULT_BUFFER);
	__builtin_memset(results, 0, desc->results.size);
	if ((desc->flags & METHOD_RETURNS_DATA) != 0)
		*(struct buffer_out *)field_at(results, desc->results.fields) = (struct buffer_out){
			.kernel = (uint8_t *)buffer + prefix,
			.capacity = message_list_capacity(data_words, pointer_words, capacity),
		};
	return STATUS_OK;
}

size_t results_end_message(const struct method_desc *desc, const void *results, void *buffer)
{
	struct message_writer writer;

	message_begin(&writer, buffer, desc->results.data_words, desc->results.pointer_words);
	for (uint32_t i = 0; i < desc->results.count; i++) {
		const struct field_desc *field = &desc->results.fields[i];

		if (is_scalar(field)) {
			message_write_scalar(&writer, field->wire_position, field->width,
				load_scalar(results, field));
		} else if (field->kind == FIELD_CAP) {
			message_write_cap(&writer, field->wire_position);
		} else {
			const struct buffer_out *data = field_at_const(results, field);

			message_write_list(&writer, field->wire_position, data->length);
		}
	}
	return message_end(&writer);
}

struct object **results_object(const struct method_desc *desc, void *results)
{
	if ((desc->flags & METHOD_RETURNS_CAP) == 0)
		return NULL;
	return field_at(results, desc->results.fields);
}

status_t results_to_word(const struct method_desc *desc, const void *results,
	const struct word_results *place, uint32_t cap, uint64_t *word)
{
	uint64_t values[METHOD_RESULTS_MAX];
	uint32_t count = desc->results.count;

	*word = 0;
	if ((desc->flags & METHOD_RETURNS_CAP) != 0) {
		*word = cap;
	} else if ((desc->flags & METHOD_RETURNS_DATA) != 0) {
		*word = ((const struct buffer_out *)field_at_const(results, desc->results.fields))
				->length;
	} else if ((desc->flags & METHOD_RESULT_ARRAY) != 0) {
		for (uint32_t i = 0; i < count; i++)
			values[i] = load_scalar(results, &desc->results.fields[i]);
		if (copy_to_user(place->array, values, count * sizeof(values[0])) != STATUS_OK)
			return STATUS_TRANSPORT(INVALID_RESULT_BUFFER);
	} else if (count == 1) {
		*word = load_scalar(results, desc->results.fields);
	}
	return STATUS_OK;
}

/* ---- errors ---- */

static unsigned int exception_type(unsigned int code)
{
	switch (code) {
	case CAPOS_ERROR_INVALID_ARGUMENT:
	case CAPOS_ERROR_MISALIGNED:
	case CAPOS_ERROR_OUT_OF_RANGE:
	case CAPOS_ERROR_BAD_ADDRESS:
	case CAPOS_ERROR_PROTECTION_DENIED:
	case CAPOS_ERROR_MALFORMED_MESSAGE:
		return CAPOS_CAP_EXCEPTION_TYPE_INVALID_ARGUMENT;
	case CAPOS_ERROR_NO_MEMORY:
	case CAPOS_ERROR_NO_RESERVATION:
	case CAPOS_ERROR_NO_SLOTS:
	case CAPOS_ERROR_LIMIT_REACHED:
	case CAPOS_ERROR_NOT_SEEDED:
	case CAPOS_ERROR_NO_THREADS:
	case CAPOS_ERROR_NO_CALLS:
	case CAPOS_ERROR_NO_CPU:
		return CAPOS_CAP_EXCEPTION_TYPE_OVERLOADED;
	case CAPOS_ERROR_DISCONNECTED:
		return CAPOS_CAP_EXCEPTION_TYPE_DISCONNECTED;
	case CAPOS_ERROR_UNIMPLEMENTED:
		return CAPOS_CAP_EXCEPTION_TYPE_UNIMPLEMENTED;
	default:
		return CAPOS_CAP_EXCEPTION_TYPE_FAILED;
	}
}

static size_t append(char *buffer, size_t length, const char *text)
{
	size_t n = __builtin_strlen(text);

	__builtin_memcpy(buffer + length, text, n);
	return length + n;
}

size_t encode_exception(void *buffer, size_t capacity, status_t status, uint64_t detail)
{
	unsigned int code = STATUS_IS_ERROR(status) ? STATUS_ERROR_CODE(status) : CAPOS_ERROR_NONE;
	size_t prefix = message_prefix_bytes(
		CAPOS_CAP_EXCEPTION_DATA_WORDS, CAPOS_CAP_EXCEPTION_POINTER_WORDS);
	const struct error_text *text =
		&error_texts[code < error_text_count ? code : CAPOS_ERROR_NONE];
	char *reason = (char *)buffer + prefix;
	struct message_writer writer;
	size_t length;

	/* name ": " meaning NUL */
	length = __builtin_strlen(text->name) + 2 + __builtin_strlen(text->meaning) + 1;
	if (capacity < prefix ||
		message_list_capacity(CAPOS_CAP_EXCEPTION_DATA_WORDS,
			CAPOS_CAP_EXCEPTION_POINTER_WORDS, capacity) < length)
		return 0;
	message_begin(
		&writer, buffer, CAPOS_CAP_EXCEPTION_DATA_WORDS, CAPOS_CAP_EXCEPTION_POINTER_WORDS);
	message_write_scalar(&writer, CAPOS_CAP_EXCEPTION_TYPE_BYTE, 2, exception_type(code));
	message_write_scalar(&writer, CAPOS_CAP_EXCEPTION_CODE_BYTE, 2, code);
	message_write_scalar(&writer, CAPOS_CAP_EXCEPTION_DETAIL_BYTE, 8, detail);
	length = append(reason, append(reason, append(reason, 0, text->name), ": "), text->meaning);
	reason[length] = '\0';
	message_write_list(&writer, CAPOS_CAP_EXCEPTION_REASON_POINTER, length + 1);
	return message_end(&writer);
}

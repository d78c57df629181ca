/* From C structures to the words of a message. */
#include <string.h>

#include <capos/schema.h>

struct encoder {
	uint64_t *words;
	uint64_t used, room;
	struct capos_carried *carried;
};

static int64_t encode_pointer(struct encoder *e, uint64_t at, const struct capos_type *type,
	const void *in, unsigned depth);

/* Zeroed words at the end; UINT64_MAX: there are not so many. */
static uint64_t take(struct encoder *e, uint64_t words)
{
	uint64_t start = e->used;

	if (words > e->room - e->used)
		return UINT64_MAX;
	memset(&e->words[start], 0, words * 8);
	e->used += words;
	return start;
}

static uint64_t offset_bits(uint64_t at, uint64_t start)
{
	return (uint32_t)(start - at - 1) << 2;
}

static void set_bits(uint64_t *data, uint64_t index, uint32_t width, uint64_t value)
{
	uint64_t bit = index * width;

	if (width < 64)
		value &= ((uint64_t)1 << width) - 1;
	data[bit / 64] |= value << bit % 64;
}

/* 1, 2, 4 or 8 bytes. The library is compiled without knowing memcpy, so a copy of known size is
 * the compiler's own. */
static inline uint64_t load(const void *in, size_t size)
{
	uint64_t value = 0;

	if (size == 8)
		__builtin_memcpy(&value, in, 8);
	else if (size == 4)
		__builtin_memcpy(&value, in, 4);
	else if (size == 2)
		__builtin_memcpy(&value, in, 2);
	else
		__builtin_memcpy(&value, in, 1);
	return value;
}

static const uint8_t widths[] = { 1, 8, 16, 32, 64, 16 };

/* The fields, to words that are zero. */
static int64_t encode_fields(struct encoder *e, uint64_t start, uint64_t data_words,
	const struct capos_struct_type *type, const void *in, unsigned depth)
{
	uint16_t which = CAPOS_ALWAYS;

	if (depth == 0)
		return CAPOS_E(INVALID_ARGUMENT);
	if (type->which != CAPOS_NO_UNION) {
		which = (uint16_t)load((const char *)in + type->which, sizeof(which));
		set_bits(&e->words[start], type->which_wire, 16, which);
	}
	for (uint32_t i = 0; i < type->field_count; i++) {
		const struct capos_field *field = &type->fields[i];
		const char *place = (const char *)in + field->offset;
		int64_t status = 0;

		if (field->tag != CAPOS_ALWAYS && field->tag != which)
			continue;
		if (field->type.kind < CAPOS_KIND_GROUP)
			set_bits(&e->words[start], field->wire, widths[field->type.kind],
				load(place, field->type.size) ^ field->preset);
		else if (field->type.kind == CAPOS_KIND_GROUP)
			status = encode_fields(
				e, start, data_words, field->type.of, place, depth - 1);
		else
			status = encode_pointer(e, start + data_words + field->wire, &field->type,
				place, depth - 1);
		if (status < 0)
			return status;
	}
	return 0;
}

static int64_t encode_struct(struct encoder *e, uint64_t at, const struct capos_struct_type *type,
	const void *in, unsigned depth)
{
	uint64_t start = take(e, (uint64_t)type->data_words + type->pointers);

	if (start == UINT64_MAX)
		return CAPOS_E(OUT_OF_RANGE);
	/* An empty one is its pointer's own neighbour backwards, because zero is no structure. */
	e->words[at] =
		(type->data_words + type->pointers == 0 ? 0xfffffffc : offset_bits(at, start)) |
		(uint64_t)type->data_words << 32 | (uint64_t)type->pointers << 48;
	return encode_fields(e, start, type->data_words, type, in, depth);
}

static int64_t encode_bytes(struct encoder *e, uint64_t at, const void *bytes, size_t size)
{
	if (size > CAPOS_MESSAGE_BYTES_MAX)
		return CAPOS_E(OUT_OF_RANGE);
	uint64_t start = take(e, (size + 7) / 8);
	if (start == UINT64_MAX)
		return CAPOS_E(OUT_OF_RANGE);
	e->words[at] = 1 | offset_bits(at, start) | (uint64_t)2 << 32 | (uint64_t)size << 35;
	__builtin_memcpy(&e->words[start], bytes, size);
	return 0;
}

static int64_t encode_cap(struct encoder *e, uint64_t at, capos_cap_t cap)
{
	struct capos_carried *carried = e->carried;

	if (!cap)
		return 0;
	if (carried->count >= CAPOS_MESSAGE_CAPS_MAX)
		return CAPOS_E(OUT_OF_RANGE);
	e->words[at] = 3 | (uint64_t)carried->count << 32;
	carried->caps[carried->count++] = cap;
	return 0;
}

static int64_t encode_structs(struct encoder *e, uint64_t at, const struct capos_struct_type *type,
	struct capos_data list, unsigned depth)
{
	uint64_t step = (uint64_t)type->data_words + type->pointers;
	uint64_t start = take(e, 1 + list.size * step);
	int64_t status = 0;

	if (start == UINT64_MAX)
		return CAPOS_E(OUT_OF_RANGE);
	e->words[at] = 1 | offset_bits(at, start) | (uint64_t)7 << 32 | list.size * step << 35;
	e->words[start] = (uint64_t)list.size << 2 | (uint64_t)type->data_words << 32 |
		(uint64_t)type->pointers << 48;
	for (size_t i = 0; i < list.size && status == 0; i++)
		status = encode_fields(e, start + 1 + i * step, type->data_words, type,
			(const char *)list.bytes + i * type->size, depth);
	return status;
}

static int64_t encode_list(struct encoder *e, uint64_t at, const struct capos_type *item,
	struct capos_data list, unsigned depth)
{
	static const uint8_t sizes[] = { 1, 2, 3, 4, 5, 3 };
	bool numbers = item->kind < CAPOS_KIND_GROUP;
	uint64_t width = numbers ? widths[item->kind] : 64;
	int64_t status = 0;

	if (list.size > CAPOS_MESSAGE_BYTES_MAX * 8u)
		return CAPOS_E(OUT_OF_RANGE);
	if (item->kind == CAPOS_KIND_STRUCT)
		return encode_structs(e, at, item->of, list, depth);
	uint64_t start = take(e, (list.size * width + 63) / 64);
	if (start == UINT64_MAX)
		return CAPOS_E(OUT_OF_RANGE);
	e->words[at] = 1 | offset_bits(at, start) |
		(uint64_t)(numbers ? sizes[item->kind] : 6) << 32 | (uint64_t)list.size << 35;
	for (size_t i = 0; i < list.size && status == 0; i++) {
		const char *place = (const char *)list.bytes + i * item->size;

		if (numbers)
			set_bits(&e->words[start], i, (uint32_t)width, load(place, item->size));
		else
			status = encode_pointer(e, start + i, item, place, depth);
	}
	return status;
}

static int64_t encode_pointer(struct encoder *e, uint64_t at, const struct capos_type *type,
	const void *in, unsigned depth)
{
	struct capos_data data;
	const void *pointed;
	capos_cap_t cap;

	if (depth == 0)
		return CAPOS_E(INVALID_ARGUMENT);
	switch (type->kind) {
	case CAPOS_KIND_CAP:
		__builtin_memcpy(&cap, in, sizeof(cap));
		return encode_cap(e, at, cap);
	case CAPOS_KIND_STRUCT:
		return encode_struct(e, at, type->of, in, depth - 1);
	case CAPOS_KIND_TEXT:
		__builtin_memcpy(&pointed, in, sizeof(pointed));
		return pointed ? encode_bytes(e, at, pointed, strlen(pointed) + 1) : 0;
	case CAPOS_KIND_POINTER:
		__builtin_memcpy(&pointed, in, sizeof(pointed));
		return pointed ? encode_struct(e, at, type->of, pointed, depth - 1) : 0;
	default:
		__builtin_memcpy(&data, in, sizeof(data));
	}
	if (!data.size)
		return 0;
	if (type->kind == CAPOS_KIND_DATA)
		return encode_bytes(e, at, data.bytes, data.size);
	return encode_list(e, at, type->of, data, depth - 1);
}

int64_t capos_encode(const struct capos_struct_type *type, const void *value, uint64_t *message,
	size_t *words, struct capos_carried *carried)
{
	struct encoder e = { message, 0, *words, carried };

	if (take(&e, 1) == UINT64_MAX)
		return CAPOS_E(OUT_OF_RANGE);
	int64_t status = encode_struct(&e, 0, type, value, CAPOS_NESTING_MAX);
	*words = e.used;
	return status;
}

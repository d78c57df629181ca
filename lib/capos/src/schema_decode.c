/* From the words of a message to C structures. The message is in memory that only this process
 * writes, so what has been checked stays as it is; its sender may have written anything. */
#include <string.h>

#include <capos/schema.h>

struct decoder {
	const uint64_t *words;
	uint64_t count;
	struct capos_carried *carried;
	struct capos_memory *memory;
};

/* A structure in the message; one with neither words nor pointers has all fields at their presets.
 */
struct object {
	uint64_t start; /* word */
	uint32_t data_words, pointers;
};

const struct capos_struct_type capos_nothing_type = { .which = CAPOS_NO_UNION };

#define NOWHERE UINT64_MAX

/* Sizes of items in list pointers. */
enum { ITEM_BIT = 1, ITEM_8 = 2, ITEM_POINTER = 6, ITEM_STRUCT = 7 };

static int64_t decode_pointer(
	struct decoder *d, uint64_t at, const struct capos_type *type, void *out, unsigned depth);

/* Where the pointer at a word leads; false: not all of these words are in the message. */
static bool target(const struct decoder *d, uint64_t at, uint64_t words, uint64_t *start)
{
	*start = at + 1 + (uint64_t)(int64_t)((int32_t)(uint32_t)d->words[at] >> 2);
	return *start <= d->count && words <= d->count - *start;
}

static uint64_t bits_of(
	const struct decoder *d, struct object object, uint32_t index, uint32_t width)
{
	uint64_t bit = (uint64_t)index * width;

	if (bit + width > (uint64_t)object.data_words * 64)
		return 0;
	uint64_t word = d->words[object.start + bit / 64] >> bit % 64;
	return width == 64 ? word : word & (((uint64_t)1 << width) - 1);
}

static void store_enum(void *out, uint64_t value)
{
	uint32_t wide = (uint32_t)value;

	__builtin_memcpy(out, &wide, sizeof(wide));
}

static void decode_number(
	const struct decoder *d, struct object object, const struct capos_field *field, void *out)
{
	static const uint8_t widths[] = { 1, 8, 16, 32, 64, 16 };
	uint32_t width = widths[field->type.kind];
	uint64_t value = bits_of(d, object, field->wire, width) ^ field->preset;

	if (field->type.size == 8)
		__builtin_memcpy(out, &value, 8);
	else if (field->type.size == 4) /* an enum, too */
		__builtin_memcpy(out, &value, 4);
	else if (field->type.size == 2)
		__builtin_memcpy(out, &value, 2);
	else
		__builtin_memcpy(out, &value, 1);
}

static int64_t decode_struct(struct decoder *d, struct object object,
	const struct capos_struct_type *type, void *out, unsigned depth)
{
	uint16_t which = CAPOS_ALWAYS;

	if (depth == 0)
		return CAPOS_E(MALFORMED_MESSAGE);
	if (type->which != CAPOS_NO_UNION) {
		which = (uint16_t)bits_of(d, object, type->which_wire, 16);
		__builtin_memcpy((char *)out + type->which, &which, sizeof(which));
	}
	for (uint32_t i = 0; i < type->field_count; i++) {
		const struct capos_field *field = &type->fields[i];
		char *place = (char *)out + field->offset;
		int64_t status = 0;

		if (field->tag != CAPOS_ALWAYS && field->tag != which)
			continue;
		if (field->type.kind < CAPOS_KIND_GROUP)
			decode_number(d, object, field, place);
		else if (field->type.kind == CAPOS_KIND_GROUP)
			status = decode_struct(d, object, field->type.of, place, depth - 1);
		else
			status = decode_pointer(d,
				field->wire < object.pointers
					? object.start + object.data_words + field->wire
					: NOWHERE,
				&field->type, place, depth - 1);
		if (status < 0)
			return status;
	}
	return 0;
}

/* Bytes of Text and Data. */
static int64_t decode_bytes(struct decoder *d, uint64_t at, bool text, void *out)
{
	struct capos_data data = { "", 0 };
	uint64_t pointer = at == NOWHERE ? 0 : d->words[at], start;

	if (pointer) {
		data.size = pointer >> 35;
		if ((pointer & 3) != 1 || (pointer >> 32 & 7) != ITEM_8 ||
			!target(d, at, (data.size + 7) / 8, &start))
			return CAPOS_E(MALFORMED_MESSAGE);
		data.bytes = &d->words[start];
		if (text && (!data.size || ((const char *)data.bytes)[data.size - 1]))
			return CAPOS_E(MALFORMED_MESSAGE);
	}
	if (text)
		__builtin_memcpy(out, &data.bytes, sizeof(data.bytes));
	else
		__builtin_memcpy(out, &data, sizeof(data));
	return 0;
}

static int64_t decode_cap(struct decoder *d, uint64_t at, void *out)
{
	uint64_t pointer = at == NOWHERE ? 0 : d->words[at], index = pointer >> 32;
	struct capos_carried *carried = d->carried;
	capos_cap_t cap = 0;

	if (pointer) {
		if ((uint32_t)pointer != 3 || index >= carried->count ||
			carried->named >> index & 1)
			return CAPOS_E(MALFORMED_MESSAGE);
		carried->named |= 1u << index;
		cap = carried->caps[index];
	}
	__builtin_memcpy(out, &cap, sizeof(cap));
	return 0;
}

/* The structure that the pointer leads to. */
static int64_t find_object(const struct decoder *d, uint64_t at, struct object *object)
{
	uint64_t pointer = at == NOWHERE ? 0 : d->words[at];

	*object = (struct object){ 0 };
	if (!pointer)
		return 0;
	object->data_words = pointer >> 32 & 0xffff;
	object->pointers = (uint32_t)(pointer >> 48);
	if ((pointer & 3) != 0 ||
		!target(d, at, (uint64_t)object->data_words + object->pointers, &object->start))
		return CAPOS_E(MALFORMED_MESSAGE);
	return 0;
}

/* Memory for the items in C. An item counts for a word at least, so that a list of nothing costs
 * its sender as much as it costs here. */
static void *take_items(struct decoder *d, uint64_t count, uint32_t size)
{
	return capos_memory_take(d->memory, count * (size > 8 ? size : 8));
}

static int64_t decode_structs(struct decoder *d, uint64_t start, uint64_t words,
	const struct capos_type *item, struct capos_data *list, unsigned depth)
{
	uint64_t tag = d->words[start], count = (uint32_t)tag >> 2;
	struct object object = { start + 1, tag >> 32 & 0xffff, (uint32_t)(tag >> 48) };
	uint64_t step = (uint64_t)object.data_words + object.pointers;

	if ((tag & 3) != 0 || count * step > words)
		return CAPOS_E(MALFORMED_MESSAGE);
	char *items = take_items(d, count, item->size);
	if (!items)
		return CAPOS_E(NO_MEMORY);
	*list = (struct capos_data){ items, count };
	for (uint64_t i = 0; i < count; i++) {
		int64_t status = decode_struct(d, object, item->of, items + i * item->size, depth);

		if (status < 0)
			return status;
		object.start += step;
	}
	return 0;
}

/* Items that look different in C: a bit, an enum, what a pointer leads to. */
static int64_t decode_items(struct decoder *d, uint64_t start, uint64_t count,
	const struct capos_type *item, struct capos_data *list, unsigned depth)
{
	char *items = take_items(d, count, item->size);
	int64_t status = 0;

	if (!items)
		return CAPOS_E(NO_MEMORY);
	*list = (struct capos_data){ items, count };
	for (uint64_t i = 0; i < count && status == 0; i++) {
		char *out = items + i * item->size;

		if (item->kind == CAPOS_KIND_BOOL)
			*out = (char)(d->words[start + i / 64] >> i % 64 & 1);
		else if (item->kind == CAPOS_KIND_ENUM)
			store_enum(out, d->words[start + i / 4] >> i % 4 * 16 & 0xffff);
		else
			status = decode_pointer(d, start + i, item, out, depth);
	}
	return status;
}

static int64_t decode_list(
	struct decoder *d, uint64_t at, const struct capos_type *item, void *out, unsigned depth)
{
	/* By kind: the size in list pointers, and bits of an item. */
	static const uint8_t sizes[] = { [CAPOS_KIND_BOOL] = ITEM_BIT,
		[CAPOS_KIND_8] = ITEM_8,
		[CAPOS_KIND_16] = 3,
		[CAPOS_KIND_32] = 4,
		[CAPOS_KIND_64] = 5,
		[CAPOS_KIND_ENUM] = 3,
		[CAPOS_KIND_TEXT] = ITEM_POINTER,
		[CAPOS_KIND_DATA] = ITEM_POINTER,
		[CAPOS_KIND_CAP] = ITEM_POINTER,
		[CAPOS_KIND_STRUCT] = ITEM_STRUCT,
		[CAPOS_KIND_LIST] = ITEM_POINTER };
	static const uint8_t bits[] = { 0, 1, 8, 16, 32, 64, 64, 64 };
	uint64_t pointer = at == NOWHERE ? 0 : d->words[at], count = pointer >> 35, start;
	uint64_t size = sizes[item->kind], words = (count * bits[size] + 63) / 64;
	struct capos_data list = { NULL, 0 };
	int64_t status = 0;

	if (pointer) {
		if (size == ITEM_STRUCT)
			words = count + 1; /* its count is of words, without the tag */
		if ((pointer & 3) != 1 || (pointer >> 32 & 7) != size ||
			!target(d, at, words, &start))
			return CAPOS_E(MALFORMED_MESSAGE);
		if (size == ITEM_STRUCT)
			status = decode_structs(d, start, count, item, &list, depth);
		else if (item->kind >= CAPOS_KIND_8 && item->kind <= CAPOS_KIND_64)
			list = (struct capos_data){ &d->words[start], count };
		else
			status = decode_items(d, start, count, item, &list, depth);
	}
	__builtin_memcpy(out, &list, sizeof(list));
	return status;
}

static int64_t decode_pointer(
	struct decoder *d, uint64_t at, const struct capos_type *type, void *out, unsigned depth)
{
	const struct capos_struct_type *inner = type->of;
	struct object object;
	int64_t status;

	if (depth == 0)
		return CAPOS_E(MALFORMED_MESSAGE);
	switch (type->kind) {
	case CAPOS_KIND_TEXT:
	case CAPOS_KIND_DATA:
		return decode_bytes(d, at, type->kind == CAPOS_KIND_TEXT, out);
	case CAPOS_KIND_CAP:
		return decode_cap(d, at, out);
	case CAPOS_KIND_LIST:
		return decode_list(d, at, type->of, out, depth - 1);
	default:
		break;
	}
	status = find_object(d, at, &object);
	if (status < 0 || type->kind == CAPOS_KIND_STRUCT)
		return status < 0 ? status : decode_struct(d, object, inner, out, depth - 1);
	void *pointed = NULL;
	if (at != NOWHERE && d->words[at]) {
		pointed = capos_memory_take(d->memory, inner->size > 8 ? inner->size : 8);
		if (!pointed)
			return CAPOS_E(NO_MEMORY);
		status = decode_struct(d, object, inner, pointed, depth - 1);
	}
	__builtin_memcpy(out, &pointed, sizeof(pointed));
	return status;
}

int64_t capos_decode(const struct capos_struct_type *type, void *value, const uint64_t *message,
	size_t words, struct capos_carried *carried, struct capos_memory *memory)
{
	struct decoder d = { message, words, carried, memory };
	struct object object;

	carried->named = 0;
	if (type->size)
		memset(value, 0, type->size);
	int64_t status = find_object(&d, words ? 0 : NOWHERE, &object);
	return status < 0 ? status : decode_struct(&d, object, type, value, CAPOS_NESTING_MAX);
}

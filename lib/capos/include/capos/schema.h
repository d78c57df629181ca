/* Values of a user's schema: what the headers of ./capos schema stand on. A type is described by
 * tables, and two functions go between C structures and the words of a Cap'n Proto message of one
 * segment. What is decoded may come from an enemy: every pointer is checked, nesting and memory are
 * bounded. docs/c-services.md is the guide, docs/decisions/0026-interfaces-of-users.md says why.
 *
 * Neither enters the kernel, so both may be called anywhere; memory comes from malloc. */
#ifndef CAPOS_SCHEMA_H
#define CAPOS_SCHEMA_H

#include <stddef.h>
#include <stdint.h>

#include <capos/call.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- what fields are in C ----
 *
 * Integers, floats and bool are the C types of their width; an enum may have a value that this
 * version of the schema does not know. Text is a const char *, which ends at the first zero. A
 * structure is embedded, or pointed to where it could contain itself: then NULL is its absence. */

struct capos_data {
	const void *bytes;
	size_t size;
};

/* A list: items may be NULL when count is 0. */
#define CAPOS_LIST(name, item)     \
	struct name {              \
		const item *items; \
		size_t count;      \
	}

CAPOS_LIST(capos_bool_list, bool);
CAPOS_LIST(capos_int8_list, int8_t);
CAPOS_LIST(capos_int16_list, int16_t);
CAPOS_LIST(capos_int32_list, int32_t);
CAPOS_LIST(capos_int64_list, int64_t);
CAPOS_LIST(capos_uint8_list, uint8_t);
CAPOS_LIST(capos_uint16_list, uint16_t);
CAPOS_LIST(capos_uint32_list, uint32_t);
CAPOS_LIST(capos_uint64_list, uint64_t);
CAPOS_LIST(capos_float32_list, float);
CAPOS_LIST(capos_float64_list, double);
CAPOS_LIST(capos_text_list, char *const);
CAPOS_LIST(capos_data_list, struct capos_data);
CAPOS_LIST(capos_cap_list, capos_cap_t);

/* ---- tables, which are generated ---- */

enum capos_kind {
	CAPOS_KIND_BOOL,
	CAPOS_KIND_8, /* bits: integers and floats */
	CAPOS_KIND_16,
	CAPOS_KIND_32,
	CAPOS_KIND_64,
	CAPOS_KIND_ENUM,  /* 16 bits in a message, an enum in C */
	CAPOS_KIND_GROUP, /* fields of the structure around it */
	CAPOS_KIND_TEXT,  /* from here on pointers in a message */
	CAPOS_KIND_DATA,
	CAPOS_KIND_CAP,
	CAPOS_KIND_STRUCT,  /* embedded */
	CAPOS_KIND_POINTER, /* to a structure */
	CAPOS_KIND_LIST,
};

struct capos_type {
	enum capos_kind kind;
	uint32_t size;  /* of the C value, bytes */
	const void *of; /* LIST: the capos_type of its items; structures: the capos_struct_type */
};

#define CAPOS_ALWAYS 0xffff /* tag of a field outside a union */

struct capos_field {
	struct capos_type type;
	uint32_t offset; /* in the C structure, bytes */
	uint16_t wire;   /* in units of its size, or which pointer */
	uint16_t tag;    /* of the union: when the field is there */
	uint64_t preset; /* default value, with which numbers are XORed */
};

#define CAPOS_NO_UNION UINT32_MAX

struct capos_struct_type {
	uint32_t size; /* of the C structure, bytes */
	uint16_t data_words, pointers;
	uint32_t which;      /* offset of the union's uint16_t tag in C; or CAPOS_NO_UNION */
	uint16_t which_wire; /* in units of 16 bits */
	uint16_t field_count;
	const struct capos_field *fields;
};

/* Parameters or results of which there are none. */
extern const struct capos_struct_type capos_nothing_type;

/* ---- memory that is given back at once ---- */

struct capos_memory {
	char *next, *end; /* room */
	char *first;      /* the user's, may be NULL */
	size_t first_size;
	size_t limit, taken; /* bytes of malloc */
	struct capos_memory_block *blocks;
};

/* first: first_size bytes, aligned to 8, that are used before any of malloc; limit: the most that
 * is taken of malloc, bytes. */
void capos_memory_init(struct capos_memory *memory, void *first, size_t first_size, size_t limit);

/* Zeroed, aligned to 8. NULL: the limit is reached, or malloc has none. */
void *capos_memory_take(struct capos_memory *memory, size_t size);

/* Gives everything back. */
void capos_memory_reset(struct capos_memory *memory);

/* ---- messages ---- */

#define CAPOS_NESTING_MAX 32 /* structures and lists in each other */

/* Capabilities of a message. */
struct capos_carried {
	capos_cap_t caps[CAPOS_MESSAGE_CAPS_MAX];
	uint32_t count;
	uint32_t named; /* bit i: a field is caps[i] */
};

/* Writes a structure and its root pointer; *words: room, at most UINT32_MAX; then how many there
 * are. Capabilities are added to carried. 0; CAPOS_E(OUT_OF_RANGE): no room for all words or
 * capabilities; CAPOS_E(INVALID_ARGUMENT): deeper than CAPOS_NESTING_MAX. */
int64_t capos_encode(const struct capos_struct_type *type, const void *value, uint64_t *message,
	size_t *words, struct capos_carried *carried);

/* Reads the root structure to value, of type->size bytes. Text, data and lists point into the
 * message or into memory. Each of the capabilities may be named once. 0;
 * CAPOS_E(MALFORMED_MESSAGE); CAPOS_E(NO_MEMORY): memory has no more. */
int64_t capos_decode(const struct capos_struct_type *type, void *value, const uint64_t *message,
	size_t words, struct capos_carried *carried, struct capos_memory *memory);

#ifdef __cplusplus
}
#endif

#endif

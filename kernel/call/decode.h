/* From messages and argument words to a method's parameters, and from its results back.
 *
 * The schema compiler describes each method by field descriptors (build/gen/kernel/dispatch.c); the
 * functions here are the only interpreter of them. A call goes through four steps, and a method's
 * handler sees none of the forms:
 *
 *   message:  decode_params_message, results_begin_message, desc->invoke, results_end_message
 *   compact:  decode_arguments (parameters and where results go), desc->invoke, results_to_word
 *
 * A plain method in compact form skips all of it: its argument words are its parameters, the result
 * word its result.
 *
 * The decoder fails before the method runs: for malformed messages, integers too wide for their
 * type, unreadable argument arrays, and result buffers that cannot hold the result. So a handler
 * need not check these. Pure, but for the arrays in user memory (mm/user.h). */
#ifndef CALL_DECODE_H
#define CALL_DECODE_H

#include <stddef.h>
#include <stdint.h>

#include "capos_kernel/status.h"

#include "call/buffer.h"

struct call;
struct object;

enum field_kind {
	FIELD_UNSIGNED,
	FIELD_SIGNED,
	FIELD_DATA,
	FIELD_TEXT,
	FIELD_CAP,
};

/* One parameter or result. */
struct field_desc {
	const char *name;
	uint8_t kind;           /* enum field_kind */
	uint8_t width;          /* of an integer on the wire, bytes */
	uint16_t wire_position; /* byte in the data section, or index among the pointers */
	uint16_t offset;        /* in the C structure */
};

/* All parameters, or all results. */
struct fields_desc {
	const struct field_desc *fields;
	uint16_t count;
	uint16_t data_words; /* the message structure's sections */
	uint16_t pointer_words;
	uint16_t size; /* of the C structure */
};

/* Its only result is a capability: a slot is reserved before it is invoked. */
#define METHOD_RETURNS_CAP 1
/* Its only result is a Data. */
#define METHOD_RETURNS_DATA 2
/* In compact form the results go to an array: several, or a signed one. */
#define METHOD_RESULT_ARRAY 4
/* At most 5 parameters, all integers, and at most one result, unsigned. */
#define METHOD_PLAIN 8
/* A parameter has fewer bits than a word, so that words must be checked. */
#define METHOD_NARROW 16

/* A cache line. */
struct method_desc {
	const char *name;
	/* in and out are the method's own structures: struct NAME_params, struct NAME_results. */
	status_t (*invoke)(struct call *call, const void *in, void *out);
	struct fields_desc params;
	struct fields_desc results;
	uint8_t flags;
	uint8_t words; /* argument words in compact form */
} __attribute__((aligned(64)));

struct interface_desc {
	uint64_t id;
	const char *name;
	uint32_t method_count;
	uint32_t first_method; /* its first one's number among those of all interfaces */
	const struct method_desc *methods;
};

struct error_text {
	const char *name;
	const char *meaning;
};

/* Indexed by enum capos_error. */
extern const struct error_text error_texts[];
extern const size_t error_text_count;

/* The method, or NULL when the interface has none with that ordinal. */
static inline const struct method_desc *interface_method(
	const struct interface_desc *desc, uint32_t ordinal)
{
	return ordinal < desc->method_count ? &desc->methods[ordinal] : NULL;
}

/* Does the word fit the integer parameter? */
static inline int word_fits(const struct field_desc *field, uint64_t word)
{
	uint32_t shift = 64 - field->width * 8u;

	if (field->kind == FIELD_SIGNED)
		return (int64_t)word == (int64_t)(word << shift) >> shift;
	return word == word << shift >> shift;
}

/* Fills params from a message that the kernel has copied into its own memory. Data and Text
 * parameters point into the message, which must stay unchanged until the method returns. Fails with
 * malformedMessage. */
MUST_CHECK status_t decode_params_message(
	const struct method_desc *desc, const void *message, size_t size, void *params);

/* Where the results of a compact call go, besides the result word. */
struct word_results {
	struct user_ptr array; /* address 0 when the method has none */
};

/* Fills params, and in results where Data goes, from the count argument words of a compact call.
 * When the method takes more words than that, the first word is the user address of an array that
 * holds all of them. Fails with invalidArgument (an integer too wide for its type) or
 * invalidParamsBuffer (the array cannot be read). */
MUST_CHECK status_t decode_arguments(const struct method_desc *desc, const uint64_t *arguments,
	size_t count, void *params, void *results, struct word_results *place);

/* The same from desc->words words in kernel memory. */
MUST_CHECK status_t decode_words(const struct method_desc *desc, const uint64_t *words,
	void *params, void *results, struct word_results *place);

/* Zeroes results and, for a Data result, points it into the buffer, behind the place of the
 * message's structure. The handler writes there, so nothing is copied afterwards. Fails with
 * invalidResultBuffer when not even an empty result fits. */
MUST_CHECK status_t results_begin_message(
	const struct method_desc *desc, void *results, void *buffer, size_t capacity);

/* Writes the result message around what the handler left, and returns its size in bytes. */
size_t results_end_message(const struct method_desc *desc, const void *results, void *buffer);

/* The capability result's place in results, or NULL when the method returns none. */
struct object **results_object(const struct method_desc *desc, void *results);

/* The result word of a compact call: 0 without results, the unsigned scalar, the number of bytes
 * written, or cap, the CapId of a capability result. Other results go to the array. Fails with
 * invalidResultBuffer when the array cannot be written. */
MUST_CHECK status_t results_to_word(const struct method_desc *desc, const void *results,
	const struct word_results *place, uint32_t cap, uint64_t *word);

/* Writes an error as a CapException and returns the message's size in bytes, or 0 when it does not
 * fit. */
size_t encode_exception(void *buffer, size_t capacity, status_t status, uint64_t detail);

#endif

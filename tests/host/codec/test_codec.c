/* The message codec and the call decoder, on good and on hostile input. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "call/message.h"

static int failures;
static const char *why;

/* Ends the current test as failed unless the condition holds. */
#define CHECK(condition)                  \
	do {                              \
		if (!(condition)) {       \
			why = #condition; \
			return;           \
		}                         \
	} while (0)

#define MALFORMED STATUS(MALFORMED_MESSAGE)

static uint64_t struct_pointer(int32_t offset, uint16_t data, uint16_t pointers)
{
	return (uint32_t)offset << 2 | (uint64_t)data << 32 | (uint64_t)pointers << 48;
}

static uint64_t list_pointer(int32_t offset, uint64_t element, uint64_t count)
{
	return 1 | (uint64_t)((uint32_t)offset << 2) | element << 32 | count << 35;
}

/* Decodes a message of the words, from an allocation that ends where the message ends, so that the
 * sanitizer sees any access behind it. The copy is kept until the next call, because buffers point
 * into it. */
static status_t decode(const char *method, void *params, size_t count, const uint64_t *words)
{
	static uint8_t *message;
	uint32_t framing[2] = { 0, (uint32_t)count };

	free(message);
	message = malloc(8 + 8 * count);
	memcpy(message, framing, 8);
	memcpy(message + 8, words, 8 * count);
	return decode_params_message(find_method(method), message, 8 + 8 * count, params);
}

#define WORDS(...)                                            \
	sizeof((uint64_t[]){ __VA_ARGS__ }) / 8, (uint64_t[]) \
	{                                                     \
		__VA_ARGS__                                   \
	}

static void test_scalars(void)
{
	struct virtual_memory_map_params p;

	CHECK(decode("VirtualMemory.map", &p,
		      WORDS(struct_pointer(0, 3, 0), 0x1111, 0x2222, 0xffffffff00000003)) ==
		STATUS_OK);
	CHECK(p.hint == 0x1111 && p.size == 0x2222 && p.prot == 3);
	/* The struct may lie anywhere in the segment. */
	CHECK(decode("VirtualMemory.map", &p, WORDS(struct_pointer(2, 3, 0), 9, 9, 1, 2, 3)) ==
		STATUS_OK);
	CHECK(p.hint == 1 && p.size == 2 && p.prot == 3);
}

static void test_short_struct(void)
{
	struct virtual_memory_map_params p;

	CHECK(decode("VirtualMemory.map", &p, WORDS(struct_pointer(0, 1, 0), 7)) == STATUS_OK);
	CHECK(p.hint == 7 && p.size == 0 && p.prot == 0);
	CHECK(decode("VirtualMemory.map", &p, WORDS(0)) == STATUS_OK);
	CHECK(p.hint == 0 && p.size == 0 && p.prot == 0);
	CHECK(decode("VirtualMemory.map", &p, WORDS(struct_pointer(-1, 0, 0))) == STATUS_OK);
	CHECK(p.hint == 0);
}

static void test_long_struct(void)
{
	struct timer_sleep_params p;

	CHECK(decode("Timer.sleep", &p, WORDS(struct_pointer(0, 2, 1), 5, 6, ~(uint64_t)0)) ==
		STATUS_OK);
	CHECK(p.duration_ns == 5);
}

static void test_framing(void)
{
	static const uint8_t empty[16];
	uint32_t message[6] = { 0, 1, 0xfffffffc, 0, 0, 0 };
	struct timer_now_params p;
	const struct method_desc *now = find_method("Timer.now");

	CHECK(decode_params_message(now, message, 16, &p) == STATUS_OK);
	for (size_t size = 0; size < 16; size++) {
		uint8_t *cut = malloc(size > 0 ? size : 1);

		memcpy(cut, message, size);
		status_t status = decode_params_message(now, cut, size, &p);
		free(cut);
		CHECK(status == MALFORMED);
	}
	CHECK(decode_params_message(now, message, 24, &p) ==
		MALFORMED); /* bytes behind the message */
	CHECK(decode_params_message(now, message, 17, &p) == MALFORMED);
	message[0] = 1;
	CHECK(decode_params_message(now, message, 16, &p) == MALFORMED); /* two segments */
	message[0] = 0xffffffff;
	CHECK(decode_params_message(now, message, 16, &p) == MALFORMED);
	message[0] = 0;
	message[1] = 0xffffffff;
	CHECK(decode_params_message(now, message, 16, &p) ==
		MALFORMED); /* words beyond the buffer */
	message[1] = 0;
	CHECK(decode_params_message(now, message, 8, &p) == MALFORMED); /* no root pointer */
	CHECK(decode_params_message(now, empty, 16, &p) == MALFORMED);
}

static void test_root_pointer(void)
{
	struct timer_sleep_params p;

	CHECK(decode("Timer.sleep", &p, WORDS(list_pointer(0, 2, 8), 0)) == MALFORMED);
	CHECK(decode("Timer.sleep", &p, WORDS(2, 0)) == MALFORMED); /* far */
	CHECK(decode("Timer.sleep", &p, WORDS(3, 0)) == MALFORMED); /* capability */
	CHECK(decode("Timer.sleep", &p, WORDS(struct_pointer(1, 1, 0), 0)) == MALFORMED);
	CHECK(decode("Timer.sleep", &p, WORDS(struct_pointer(0, 2, 0), 0)) == MALFORMED);
	CHECK(decode("Timer.sleep", &p, WORDS(struct_pointer(0, 1, 1), 0)) == MALFORMED);
	CHECK(decode("Timer.sleep", &p, WORDS(struct_pointer(0, 0xffff, 0xffff), 0)) == MALFORMED);
	CHECK(decode("Timer.sleep", &p, WORDS(struct_pointer(-2, 1, 0), 0)) == MALFORMED);
	CHECK(decode("Timer.sleep", &p, WORDS(struct_pointer(0x1fffffff, 1, 0), 0)) == MALFORMED);
	CHECK(decode("Timer.sleep", &p, WORDS(struct_pointer(-0x20000000, 1, 0), 0)) == MALFORMED);
	CHECK(decode("Timer.sleep", &p, WORDS(struct_pointer(2, 0, 0), 0)) ==
		MALFORMED); /* empty, but outside */
	CHECK(decode("Timer.sleep", &p, WORDS(struct_pointer(1, 0, 0), 0)) ==
		STATUS_OK); /* empty, at the end */
	/* A struct over its own pointer is odd but in bounds. */
	CHECK(decode("Timer.sleep", &p, WORDS(struct_pointer(-1, 1, 0))) == STATUS_OK);
	CHECK(p.duration_ns == struct_pointer(-1, 1, 0));
}

static void test_data(void)
{
	struct console_write_params p;

	CHECK(decode("Console.write", &p,
		      WORDS(struct_pointer(0, 0, 1), list_pointer(0, 2, 5), 0x6f6c6c6548)) ==
		STATUS_OK);
	CHECK(p.data.kernel != NULL && p.data.length == 5 &&
		memcmp(p.data.kernel, "Hello", 5) == 0);
	CHECK(decode("Console.write", &p, WORDS(struct_pointer(0, 0, 1), 0)) == STATUS_OK);
	CHECK(p.data.kernel != NULL && p.data.length == 0);
	CHECK(decode("Console.write", &p, WORDS(struct_pointer(0, 0, 1), list_pointer(0, 2, 0))) ==
		STATUS_OK);
	CHECK(p.data.kernel != NULL && p.data.length == 0);
	CHECK(decode("Console.write", &p, WORDS(struct_pointer(-1, 0, 0))) == STATUS_OK);
	CHECK(p.data.length == 0);
}

static void test_hostile_data(void)
{
	struct console_write_params p;

	CHECK(decode("Console.write", &p,
		      WORDS(struct_pointer(0, 0, 1), list_pointer(0, 2, 9), 0)) == MALFORMED);
	CHECK(decode("Console.write", &p,
		      WORDS(struct_pointer(0, 0, 1), list_pointer(0, 2, 0x1fffffff), 0)) ==
		MALFORMED);
	CHECK(decode("Console.write", &p,
		      WORDS(struct_pointer(0, 0, 1), list_pointer(1, 2, 1), 0)) == MALFORMED);
	CHECK(decode("Console.write", &p,
		      WORDS(struct_pointer(0, 0, 1), list_pointer(-3, 2, 1), 0)) == MALFORMED);
	CHECK(decode("Console.write", &p,
		      WORDS(struct_pointer(0, 0, 1), list_pointer(0x1fffffff, 2, 0), 0)) ==
		MALFORMED);
	CHECK(decode("Console.write", &p,
		      WORDS(struct_pointer(0, 0, 1), list_pointer(-0x20000000, 2, 0), 0)) ==
		MALFORMED);
	for (uint64_t element = 0; element < 8; element++) {
		status_t status = decode("Console.write", &p,
			WORDS(struct_pointer(0, 0, 1), list_pointer(0, element, 1), 0));

		CHECK(status == (element == 2 ? STATUS_OK : MALFORMED));
	}
	CHECK(decode("Console.write", &p,
		      WORDS(struct_pointer(0, 0, 1), struct_pointer(0, 1, 0), 0)) == MALFORMED);
	CHECK(decode("Console.write", &p, WORDS(struct_pointer(0, 0, 1), 2, 0)) == MALFORMED);
	CHECK(decode("Console.write", &p, WORDS(struct_pointer(0, 0, 1), 3, 0)) == MALFORMED);
}

static void test_text(void)
{
	struct console_write_line_params p;

	CHECK(decode("Console.writeLine", &p,
		      WORDS(struct_pointer(0, 0, 1), list_pointer(0, 2, 3), 0x006968)) ==
		STATUS_OK);
	CHECK(p.text.length == 2 && memcmp(p.text.kernel, "hi", 3) == 0);
	CHECK(decode("Console.writeLine", &p, WORDS(struct_pointer(0, 0, 1), 0)) == STATUS_OK);
	CHECK(p.text.length == 0);
	CHECK(decode("Console.writeLine", &p,
		      WORDS(struct_pointer(0, 0, 1), list_pointer(0, 2, 2), 0x6968)) == MALFORMED);
	CHECK(decode("Console.writeLine", &p,
		      WORDS(struct_pointer(0, 0, 1), list_pointer(0, 2, 0), 0)) == MALFORMED);
}

static void test_words(void)
{
	const struct method_desc *map = find_method("VirtualMemory.map");
	struct virtual_memory_map_params p;
	struct virtual_memory_map_results r;
	struct word_results place;
	uint64_t words[5] = { 1, 2, 0xffffffff, 4, 5 };

	CHECK(map->words == 3);
	CHECK(decode_arguments(map, words, 5, &p, &r, &place) == STATUS_OK);
	CHECK(p.hint == 1 && p.size == 2 && p.prot == 0xffffffff && place.array.address == 0);
	words[2] = 0x100000000;
	CHECK(decode_arguments(map, words, 5, &p, &r, &place) == STATUS(INVALID_ARGUMENT));
}

static void test_spilled_words(void)
{
	const struct method_desc *spawn = find_method("ThreadSpawner.spawn");
	struct thread_spawner_spawn_params p;
	struct thread_spawner_spawn_results r;
	struct word_results place;
	uint64_t words[7] = { 1, 2, 3, 4, 5, 0x1234, 6 };
	uint64_t address = WINDOW_BASE + WINDOW_BYTES - sizeof(words);

	CHECK(spawn->words == 7);
	memcpy(window + WINDOW_BYTES - sizeof(words), words, sizeof(words));
	CHECK(decode_arguments(spawn, &address, 6, &p, &r, &place) == STATUS_OK);
	CHECK(p.entry == 1 && p.mask == 5 && p.name.kernel == NULL &&
		p.name.user.address == 0x1234 && p.name.length == 6);
	address++;
	CHECK(decode_arguments(spawn, &address, 6, &p, &r, &place) ==
		STATUS_TRANSPORT(INVALID_PARAMS_BUFFER));
	address = ~(uint64_t)7;
	CHECK(decode_arguments(spawn, &address, 6, &p, &r, &place) ==
		STATUS_TRANSPORT(INVALID_PARAMS_BUFFER));
	address = 0;
	CHECK(decode_arguments(spawn, &address, 6, &p, &r, &place) ==
		STATUS_TRANSPORT(INVALID_PARAMS_BUFFER));
}

static void test_word_results(void)
{
	const struct method_desc *now = find_method("Timer.now"),
				 *read = find_method("Console.read");
	const struct method_desc *join = find_method("ThreadHandle.join"),
				 *self = find_method("ThreadControl.self");
	struct timer_now_results times = { 11, 22 };
	struct console_read_params read_params;
	struct console_read_results read_results;
	struct thread_handle_join_params join_params;
	struct thread_handle_join_results join_results;
	struct thread_control_self_results self_results = { 0 };
	struct word_results place = { user_ptr(WINDOW_BASE) };
	uint64_t word, read_words[3] = { 100, WINDOW_BASE + 64, 10 },
		       join_words[2] = { 7, WINDOW_BASE + 128 }, array[2];

	CHECK(results_to_word(now, &times, &place, 0, &word) == STATUS_OK && word == 0);
	memcpy(array, window, sizeof(array));
	CHECK(array[0] == 11 && array[1] == 22);
	place.array = user_ptr(WINDOW_BASE + WINDOW_BYTES - 8);
	CHECK(results_to_word(now, &times, &place, 0, &word) ==
		STATUS_TRANSPORT(INVALID_RESULT_BUFFER));

	CHECK(decode_arguments(read, read_words, 5, &read_params, &read_results, &place) ==
		STATUS_OK);
	CHECK(read_results.data.kernel == NULL && read_results.data.capacity == 10 &&
		read_results.data.length == 0);
	CHECK(buffer_write(&read_results.data, "abcdef", 6) == STATUS_OK &&
		buffer_write(&read_results.data, "ghijkl", 6) == STATUS_OK);
	CHECK(memcmp(window + 64, "abcdefghij\0", 11) == 0);
	CHECK(results_to_word(read, &read_results, &place, 0, &word) == STATUS_OK && word == 10);

	/* A signed result could look like an error, so it goes to an array of one. */
	CHECK(decode_arguments(join, join_words, 5, &join_params, &join_results, &place) ==
		STATUS_OK);
	CHECK(join_params.timeout_ns == 7 && place.array.address == WINDOW_BASE + 128);
	join_results.exit_code = -1;
	CHECK(results_to_word(join, &join_results, &place, 0, &word) == STATUS_OK && word == 0);
	CHECK(memcmp(window + 128, &join_results, 8) == 0);
	place.array = user_ptr(0);
	CHECK(results_to_word(join, &join_results, &place, 0, &word) ==
		STATUS_TRANSPORT(INVALID_RESULT_BUFFER));

	CHECK(results_object(self, &self_results) == &self_results.handle &&
		results_object(join, &join_results) == NULL);
	CHECK(results_to_word(self, &self_results, &place, 0x70001, &word) == STATUS_OK &&
		word == 0x70001);
}

/* The result message at every capacity: no byte behind it is written, and it fails exactly while
 * the empty message does not fit. */
static void test_result_capacity(void)
{
	const struct method_desc *read = find_method("Console.read");

	for (size_t capacity = 0; capacity < 80; capacity++) {
		uint8_t *buffer = malloc(capacity > 0 ? capacity : 1);
		struct console_read_results r;
		status_t status = results_begin_message(read, &r, buffer, capacity);
		size_t size = 0, written = 0;

		if (status == STATUS_OK) {
			status = buffer_write(&r.data,
				"01234567890123456789012345678901234"
				"56789012345678901234567890123456789",
				70);
			written = r.data.length;
			size = results_end_message(read, &r, buffer);
		}
		free(buffer);
		if (capacity < 24) {
			CHECK(status == STATUS_TRANSPORT(INVALID_RESULT_BUFFER));
		} else {
			CHECK(status == STATUS_OK && size == 24 + ((capacity - 24) & ~(size_t)7) &&
				written == size - 24);
		}
	}
}

static void test_result_messages(void)
{
	uint64_t buffer[16];
	struct timer_now_results times = { 11, 22 };
	struct console_read_results r;
	struct thread_control_self_results self = { 0 };

	memset(buffer, 0xff, sizeof(buffer));
	CHECK(results_end_message(find_method("Timer.now"), &times, buffer) == 32);
	CHECK(buffer[0] == (uint64_t)3 << 32 && buffer[1] == struct_pointer(0, 2, 0) &&
		buffer[2] == 11 && buffer[3] == 22);
	CHECK(buffer[4] == ~(uint64_t)0);

	memset(buffer, 0xff, sizeof(buffer));
	CHECK(results_begin_message(find_method("Console.read"), &r, buffer, sizeof(buffer)) ==
		STATUS_OK);
	CHECK(buffer_write(&r.data, "abc", 3) == STATUS_OK);
	CHECK(results_end_message(find_method("Console.read"), &r, buffer) == 32);
	CHECK(buffer[2] == list_pointer(0, 2, 3) && buffer[3] == 0x636261); /* padding is zero */

	CHECK(results_end_message(find_method("ThreadControl.self"), &self, buffer) == 24 &&
		buffer[2] == 3);
	CHECK(results_end_message(find_method("ThreadControl.yield"), &self, buffer) == 16 &&
		buffer[1] == 0xfffffffc);
}

static void test_exceptions(void)
{
	for (size_t code = 1; code < error_text_count; code++) {
		status_t status = -(status_t)(CAPOS_ERROR_BASE + code);
		uint8_t whole[256];
		size_t size = encode_exception(whole, sizeof(whole), status, 99);
		struct message_struct root;
		const void *reason;
		size_t length;

		CHECK(size > 0 && size % 8 == 0);
		CHECK(message_open(&root, whole, size) == STATUS_OK);
		CHECK(message_read_scalar(&root, CAPOS_CAP_EXCEPTION_CODE_BYTE, 2) == code);
		CHECK(message_read_scalar(&root, CAPOS_CAP_EXCEPTION_DETAIL_BYTE, 8) == 99);
		CHECK(message_read_bytes(&root, CAPOS_CAP_EXCEPTION_REASON_POINTER, 1, &reason,
			      &length) == STATUS_OK);
		CHECK(length == strlen(reason) && strstr(reason, error_texts[code].name) == reason);
		for (size_t capacity = 0; capacity <= size; capacity++) {
			uint8_t *exact = malloc(capacity > 0 ? capacity : 1);
			size_t got = encode_exception(exact, capacity, status, 99);

			free(exact);
			CHECK(got == (capacity < size ? 0 : size));
		}
	}
}

static void test_buffers(void)
{
	char buffer[8];
	struct buffer_in in = { .kernel = "abcdef", .length = 6 };
	struct buffer_in user = { .user = user_ptr(WINDOW_BASE), .length = WINDOW_BYTES + 1 };
	struct buffer_out nowhere = { .user = user_ptr(0), .capacity = 100 };

	CHECK(buffer_read(&in, 2, buffer, 4) == STATUS_OK && memcmp(buffer, "cdef", 4) == 0);
	CHECK(buffer_read(&in, 3, buffer, 4) == STATUS(INVALID_ARGUMENT));
	CHECK(buffer_read(&in, SIZE_MAX, buffer, 4) == STATUS(INVALID_ARGUMENT));
	memcpy(window + WINDOW_BYTES - 2, "yz", 2);
	CHECK(buffer_read(&user, WINDOW_BYTES - 2, buffer, 2) == STATUS_OK &&
		memcmp(buffer, "yz", 2) == 0);
	CHECK(buffer_read(&user, WINDOW_BYTES - 1, buffer, 2) == STATUS(BAD_ADDRESS));
	CHECK(buffer_write(&nowhere, "x", 1) == STATUS(BAD_ADDRESS) && nowhere.length == 0);
}

/* The flags that decide the form of a compact call, computed from the fields. */
static bool flags_follow(const struct method_desc *method)
{
	bool plain = method->params.count <= 5 && method->results.count <= 1, narrow = false;
	const struct field_desc *result = method->results.fields;
	bool array = method->results.count > 1 ||
		(method->results.count == 1 && result->kind == FIELD_SIGNED);

	for (uint32_t f = 0; f < method->params.count; f++) {
		const struct field_desc *field = &method->params.fields[f];
		bool integer = field->kind == FIELD_UNSIGNED || field->kind == FIELD_SIGNED;

		plain = plain && integer && field->offset == 8 * f;
		narrow = narrow || (integer && field->width < 8);
	}
	plain = plain &&
		(method->results.count == 0 ||
			(result->kind == FIELD_UNSIGNED && method->results.size == 8));
	return plain == ((method->flags & METHOD_PLAIN) != 0) &&
		narrow == ((method->flags & METHOD_NARROW) != 0) &&
		array == ((method->flags & METHOD_RESULT_ARRAY) != 0);
}

static void test_word_ranges(void)
{
	for (uint8_t width = 1; width <= 8; width *= 2) {
		const struct field_desc u = { "u", FIELD_UNSIGNED, width, 0, 0 },
					s = { "s", FIELD_SIGNED, width, 0, 0 };
		uint64_t top = ~(uint64_t)0 >> (64 - 8 * width);

		CHECK(word_fits(&u, 0) && word_fits(&u, top) && word_fits(&s, 0) &&
			word_fits(&s, top >> 1));
		CHECK(word_fits(&s, ~(uint64_t)0) && word_fits(&s, ~(top >> 1)));
		CHECK(width == 8 || (!word_fits(&u, top + 1) && !word_fits(&u, ~(uint64_t)0)));
		CHECK(width == 8 ||
			(!word_fits(&s, (top >> 1) + 1) && !word_fits(&s, ~(top >> 1) - 1)));
	}
}

/* Checks each table entry against the rules on which its users rely. */
static void test_tables(void)
{
	for (int i = 0; i < INTERFACE_COUNT; i++) {
		const struct interface_desc *desc = &interface_descs[i];

		CHECK(desc->id != 0 && desc->name != NULL);
		CHECK(interface_method(desc, desc->method_count) == NULL &&
			interface_method(desc, 0xffff) == NULL);
		for (uint32_t m = 0; m < desc->method_count; m++) {
			const struct method_desc *method = interface_method(desc, m);
			uint32_t words = 0;

			CHECK(method == &desc->methods[m] && method->name != NULL &&
				method->invoke != NULL);
			CHECK(method->params.size <= sizeof(union method_params) &&
				method->results.size <= sizeof(union method_results));
			for (uint32_t f = 0; f < method->params.count; f++)
				words += method->params.fields[f].kind >= FIELD_DATA ? 2 : 1;
			if ((method->flags & METHOD_RETURNS_DATA) != 0)
				words += 2;
			else if (method->results.count > 1 ||
				(method->results.count == 1 &&
					method->results.fields[0].kind == FIELD_SIGNED))
				words++;
			CHECK(words == method->words && words <= METHOD_WORDS_MAX);
			CHECK(flags_follow(method));
		}
	}
}

static void run(const char *name, void (*test)(void))
{
	why = NULL;
	test();
	if (why != NULL) {
		failures++;
		printf("FAIL codec %s: %s\n", name, why);
	} else {
		printf("ok codec %s\n", name);
	}
}

int main(void)
{
	run("scalars", test_scalars);
	run("short struct reads as defaults", test_short_struct);
	run("long struct", test_long_struct);
	run("framing", test_framing);
	run("root pointer", test_root_pointer);
	run("data", test_data);
	run("hostile data", test_hostile_data);
	run("text", test_text);
	run("argument words", test_words);
	run("spilled argument words", test_spilled_words);
	run("integers of less than a word", test_word_ranges);
	run("word results", test_word_results);
	run("result capacity", test_result_capacity);
	run("result messages", test_result_messages);
	run("exceptions", test_exceptions);
	run("buffers", test_buffers);
	run("dispatch tables", test_tables);
	return failures != 0;
}

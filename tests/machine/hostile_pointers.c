/* Bad pointers in every pointer argument of every method, in registers and over the ring; stale and
 * forged CapIds; system call numbers. */
#include "raw_thread.h"

static uint64_t hole, edge, read_only; /* an unmapped page; the last 4 bytes before one; a page that
                                          cannot be written */

/* Addresses at which nothing can be read; the same for writing and more. */
static unsigned unreadable(uint64_t list[16], uint64_t size)
{
	unsigned n = 0;
	list[n++] = 0;
	list[n++] = 8;
	list[n++] = PAGE - 1;
	list[n++] = hole;
	list[n++] = hole + PAGE - 1;
	list[n++] = CAPOS_USER_TOP - size / 2;
	list[n++] = CAPOS_USER_TOP;
	list[n++] = NON_CANONICAL;
	list[n++] = 0xffff7fffffffffff;
	list[n++] = KERNEL_HALF;
	list[n++] = 0xffffffff80100000;
	list[n++] = -size;
	list[n++] = ~0ull;
	if (size > 4)
		list[n++] = edge; /* begins well */
	return n;
}

struct pointer_case {
	const char *name;
	capos_cap_t cap;
	uint32_t method;
	uint64_t words[5];
	unsigned pointer; /* which word is the pointer */
	uint64_t size;    /* how many bytes are wanted there */
	bool output;
	int64_t status; /* the error that a bad one must give; 0: any error */
};

static struct capos_thread_state thread_state;
static capos_cap_t handle, ended; /* a suspended thread; one that has ended */
static uint8_t bytes[8192];

#define BYTES ((uint64_t)bytes)

/* Every method with a pointer: what is read (console, spawn's argument array, writeState, host),
 * what is written (all the rest). */
static unsigned pointer_cases(struct pointer_case *out)
{
	const struct capos_caps *caps = &capos_caps;
	const struct pointer_case cases[] = {
		{ "console write", caps->standard_output, CAPOS_CONSOLE_WRITE, { 0, 32 }, 0, 32,
			false, CAPOS_E(BAD_ADDRESS) },
		{ "console write line", caps->standard_output, CAPOS_CONSOLE_WRITE_LINE, { 0, 32 },
			0, 32, false, CAPOS_E(BAD_ADDRESS) },
		{ "query", caps->vm, CAPOS_VIRTUAL_MEMORY_QUERY, { 4096, 0, 0, 64 }, 2, 64, true,
			CAPOS_E(BAD_ADDRESS) },
		{ "usage", caps->vm, CAPOS_VIRTUAL_MEMORY_USAGE, { 0, 64 }, 0, 64, true,
			CAPOS_E(BAD_ADDRESS) },
		{ "thread info", caps->thread_control, CAPOS_THREAD_CONTROL_INFO, { 0, 64 }, 0, 64,
			true, CAPOS_E(BAD_ADDRESS) },
		{ "resume", caps->thread_control, CAPOS_THREAD_CONTROL_RESUME, { 0 }, 0, 256, false,
			CAPOS_E(BAD_ADDRESS) },
		{ "spawn", caps->thread_spawner, CAPOS_THREAD_SPAWNER_SPAWN, { 0 }, 0, 56, false,
			CAPOS_TRANSPORT_E(INVALID_PARAMS_BUFFER) },
		{ "read state", handle, CAPOS_THREAD_HANDLE_READ_STATE, { 0, 256 }, 0, 256, true,
			CAPOS_E(BAD_ADDRESS) },
		{ "write state", handle, CAPOS_THREAD_HANDLE_WRITE_STATE, { 0, 256 }, 0, 256, false,
			CAPOS_E(BAD_ADDRESS) },
		{ "handle info", handle, CAPOS_THREAD_HANDLE_INFO, { 0, 64 }, 0, 64, true,
			CAPOS_E(BAD_ADDRESS) },
		{ "join", ended, CAPOS_THREAD_HANDLE_JOIN, { 0, 0 }, 1, 8, true,
			CAPOS_TRANSPORT_E(INVALID_RESULT_BUFFER) },
		{ "now", caps->timer, CAPOS_TIMER_NOW, { 0 }, 0, 16, true,
			CAPOS_TRANSPORT_E(INVALID_RESULT_BUFFER) },
		{ "wall", caps->timer, CAPOS_TIMER_WALL, { 0 }, 0, 8, true,
			CAPOS_TRANSPORT_E(INVALID_RESULT_BUFFER) },
		{ "fill", caps->entropy, CAPOS_ENTROPY_SOURCE_FILL, { 64, 0, 64 }, 1, 64, true, 0 },
		{ "manifest", caps->boot, CAPOS_BOOT_IMAGE_READ_MANIFEST, { 0, 64, 0, 64 }, 2, 64,
			true, CAPOS_E(BAD_ADDRESS) },
		{ "process", caps->system, CAPOS_SYSTEM_INFO_PROCESS, { 0, 64 }, 0, 64, true,
			CAPOS_E(BAD_ADDRESS) },
		{ "release", caps->system, CAPOS_SYSTEM_INFO_RELEASE, { 0, 64 }, 0, 8, true,
			CAPOS_E(BAD_ADDRESS) },
		{ "host name", caps->host, CAPOS_HOST_SHARE_WRITE, { 0, 16, 0, BYTES, 1 }, 0, 16,
			false, CAPOS_E(BAD_ADDRESS) },
		{ "host data", caps->host, CAPOS_HOST_SHARE_WRITE, { (uint64_t)"x", 1, 0, 0, 16 },
			3, 16, false, CAPOS_E(BAD_ADDRESS) },
		{ "gone", caps->host, CAPOS_HOST_SHARE_REMOVE, { 0, 16 }, 0, 16, false,
			CAPOS_E(BAD_ADDRESS) },
	};
	memcpy(out, cases, sizeof cases);
	return sizeof cases / sizeof cases[0];
}

static int64_t call_words(const struct pointer_case *c, const uint64_t words[5])
{
	return capos_call(c->cap, c->method, words[0], words[1], words[2], words[3], words[4]);
}

static int64_t call_ring(const struct pointer_case *c, const uint64_t words[5])
{
	struct capos_submission submission = {
		.opcode = CAPOS_OPCODE_COMPACT, .method = (uint16_t)c->method, .cap = c->cap
	};
	struct capos_completion completion = { 0 };
	memcpy(submission.args, words, 5 * sizeof words[0]);
	int64_t status = capos_ring_do(&submission, &completion);
	return status < 0 ? status : completion.result;
}

static void try_pointer(const struct pointer_case *c, uint64_t address)
{
	uint64_t words[5];
	memcpy(words, c->words, sizeof words);
	words[c->pointer] = address;
	int64_t in_registers = call_words(c, words), over_ring = call_ring(c, words);
	bool fine = c->status ? in_registers == c->status : in_registers < 0;
	/* Over the ring six words fit, so spawn's seven lie in memory in both. */
	fine = fine && (c->status ? over_ring == c->status : over_ring < 0);
	if (!fine && !check_why[0])
		snprintf(check_why, sizeof check_why, "%s at %#llx: %lld, ring %lld, not %lld",
			c->name, (unsigned long long)address, (long long)in_registers,
			(long long)over_ring, (long long)c->status);
}

static void bad_pointers_are_rejected(void)
{
	struct pointer_case cases[24];
	uint64_t list[16], flag = 0;
	int64_t code;
	handle = raw_spawn(raw_spin, (uint64_t)&flag, 0);
	ended = raw_spawn(raw_exit, 0, 0);
	OK(capos_thread_handle_join(ended, CAPOS_WAIT_FOREVER, &code));
	OK(capos_thread_handle_suspend(handle));
	CHECK_EQUAL(capos_thread_handle_read_state(handle, &thread_state, sizeof thread_state),
		sizeof thread_state);
	unsigned count = pointer_cases(cases);
	for (unsigned i = 0; i < count; i++) {
		unsigned addresses = unreadable(list, cases[i].size);
		for (unsigned n = 0; n < addresses; n++)
			try_pointer(&cases[i], list[n]);
		if (cases[i].output) {
			try_pointer(&cases[i], read_only);
			try_pointer(
				&cases[i], (uint64_t)bad_pointers_are_rejected); /* our own text */
			try_pointer(&cases[i], (uint64_t)capos_cap_set());
		}
	}
	OK(capos_thread_handle_resume(handle));
	flag = 1;
	CHECK_EQUAL(raw_join(handle), 0);
	CHECK_EQUAL(raw_join(ended), 0);
	CHECK_EQUAL(thread_count(), 1);
}

/* Standard input is at its end here, so a read need not write anything and may also succeed, with
 * no bytes. */
static void reading_into_bad_pointers(void)
{
	struct pointer_case read = { "read", capos_caps.standard_input, CAPOS_CONSOLE_READ,
		{ 32, 0, 32 }, 1, 32, true, 0 };
	uint64_t list[17];
	unsigned count = unreadable(list, 32);
	list[count++] = read_only;
	list[count++] = (uint64_t)capos_cap_set();
	for (unsigned i = 0; i < count; i++) {
		read.words[1] = list[i];
		int64_t in_registers = call_words(&read, read.words),
			over_ring = call_ring(&read, read.words);
		CHECK(in_registers == 0 || in_registers == CAPOS_E(BAD_ADDRESS));
		CHECK(over_ring == 0 || over_ring == CAPOS_E(BAD_ADDRESS));
	}
}

/* The addresses of handler and stack are only numbers until a notification comes (hostile_end tests
 * those). Addresses that can never be valid make the call fail, and the old setting stays. */
static void notification_addresses_are_checked(void)
{
	static const uint64_t beyond[] = { CAPOS_USER_TOP, NON_CANONICAL, 0xffff7fffffffffff,
		KERNEL_HALF, 0xffffffff80100000, ~0ull - 7, ~0ull };
	const capos_cap_t control = capos_caps.thread_control;
	const struct pointer_case set = { "set notification", control,
		CAPOS_THREAD_CONTROL_SET_NOTIFICATION, { 0 }, 0, 0, false, 0 };
	for (unsigned i = 0; i < sizeof beyond / sizeof beyond[0]; i++) {
		const uint64_t handler[5] = { beyond[i], BYTES, sizeof bytes },
			       stack[5] = { (uint64_t)raw_exit, beyond[i], PAGE };
		const uint64_t end[5] = { (uint64_t)raw_exit, BYTES, beyond[i] };
		CHECK_EQUAL(call_words(&set, handler), CAPOS_E(OUT_OF_RANGE));
		CHECK_EQUAL(call_ring(&set, handler), CAPOS_E(OUT_OF_RANGE));
		CHECK_EQUAL(call_words(&set, stack), CAPOS_E(OUT_OF_RANGE));
		CHECK_EQUAL(call_ring(&set, stack), CAPOS_E(OUT_OF_RANGE));
		CHECK_EQUAL(call_words(&set, end), CAPOS_E(INVALID_ARGUMENT));
		CHECK_EQUAL(call_ring(&set, end), CAPOS_E(INVALID_ARGUMENT));
	}
	const uint64_t holes[][3] = { { hole, hole, PAGE }, { 8, 8, 8 },
		{ CAPOS_USER_TOP - 1, CAPOS_USER_TOP - 1, 1 }, { read_only, read_only, PAGE } };
	capos_cap_t self = 0;
	OK(capos_thread_control_self(control, &self));
	OK(capos_thread_control_set_mask(control, ~0ull, 0, &(uint64_t){ 0 }));
	for (unsigned i = 0; i < 4; i++) {
		OK(capos_thread_control_set_notification(
			control, holes[i][0], holes[i][1], holes[i][2]));
		OK(capos_thread_handle_notify(
			self, CAPOS_NOTIFY_USER_FIRST, 0)); /* masked: never delivered */
		OK(capos_thread_control_yield(control));
		OK(capos_thread_control_set_notification(control, 0, 0, 0));
	}
	OK(capos_thread_control_set_mask(
		control, 0, ~0ull, &(uint64_t){ 0 })); /* without a handler it stays pending */
	OK(capos_release(self));
}

/* Lengths with a good address, past the end of the mapping, of the user half, and of 64 bits. */
static void bad_lengths_are_rejected(void)
{
	static const uint64_t lengths[] = { 1ull << 32, 1ull << 47, ~0ull >> 1, ~0ull - 4096,
		~0ull };
	for (unsigned i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		CHECK(capos_call(capos_caps.standard_output, CAPOS_CONSOLE_WRITE, hole - 16,
			      lengths[i], 0, 0, 0) < 0);
		CHECK(capos_call(capos_caps.host, CAPOS_HOST_SHARE_WRITE, BYTES, lengths[i], 0,
			      BYTES, 1) < 0);
		CHECK(capos_call(capos_caps.host, CAPOS_HOST_SHARE_WRITE, (uint64_t)"x", 1, 0,
			      BYTES, lengths[i]) < 0);
		CHECK(capos_call(capos_caps.host, CAPOS_HOST_SHARE_REMOVE, BYTES, lengths[i], 0, 0,
			      0) < 0);
		CHECK_EQUAL(capos_call(capos_caps.vm, CAPOS_VIRTUAL_MEMORY_USAGE, BYTES, lengths[i],
				    0, 0, 0),
			sizeof(struct capos_memory_usage)); /* more room than needed */
	}
}

/* ---- messages ---- */

static int64_t send_message(capos_cap_t cap, uint16_t method, uint64_t params, uint64_t params_size,
	uint64_t results, uint64_t results_size)
{
	struct capos_submission submission = {
		.opcode = CAPOS_OPCODE_CALL, .method = method, .cap = cap
	};
	struct capos_completion completion = { 0 };
	((uint64_t *)submission.args)[0] = params;
	((uint64_t *)submission.args)[1] = params_size;
	((uint64_t *)submission.args)[2] = results;
	((uint64_t *)submission.args)[3] = results_size;
	int64_t status = capos_ring_do(&submission, &completion);
	return status < 0 ? status : completion.result;
}

static void message_buffers_are_checked(void)
{
	static const uint64_t empty[2] = { 1ull << 32,
		0 }; /* one segment of one word: a null root */
	uint64_t list[16];
	unsigned count = unreadable(list, 16);
	for (unsigned i = 0; i < count; i++) {
		CHECK_EQUAL(send_message(capos_caps.timer, CAPOS_TIMER_WALL, list[i], 16, BYTES,
				    sizeof bytes),
			CAPOS_TRANSPORT_E(INVALID_PARAMS_BUFFER));
		CHECK_EQUAL(send_message(capos_caps.timer, CAPOS_TIMER_WALL, (uint64_t)empty, 16,
				    list[i], 1024),
			CAPOS_TRANSPORT_E(INVALID_RESULT_BUFFER));
	}
	CHECK_EQUAL(send_message(capos_caps.timer, CAPOS_TIMER_WALL, (uint64_t)empty, 16, read_only,
			    1024),
		CAPOS_TRANSPORT_E(INVALID_RESULT_BUFFER));
	CHECK(send_message(capos_caps.timer, CAPOS_TIMER_WALL, (uint64_t)empty, 16, BYTES,
		      sizeof bytes) > 0);
	static const uint64_t sizes[] = { 0, 1, 8, 15, 17, 65544, 1ull << 32, ~0ull };
	for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
		CHECK(send_message(capos_caps.timer, CAPOS_TIMER_WALL, (uint64_t)empty, sizes[i],
			      BYTES, sizeof bytes) < 0);
	for (uint64_t room = 0; room < 24; room++)
		CHECK(send_message(capos_caps.timer, CAPOS_TIMER_WALL, (uint64_t)empty, 16, BYTES,
			      room) < 0);
}

/* A message of random words must fail or have a meaning. */
static void garbage_messages_are_rejected(void)
{
	static uint64_t message[64];
	uint64_t seed = 0x5eed5eed5eed5eed;
	for (int i = 0; i < 20000; i++) {
		uint64_t words = random_next(&seed) % 16;
		for (unsigned n = 0; n <= words; n++) {
			uint64_t random = random_next(&seed);
			/* mostly pointers of short distance, so that some lead somewhere */
			message[n + 1] = random % 4 == 0 ? random >> 8
							 : (random & 0x7700000000ull) << 3 |
					(random >> 40 & 0x1f) << 2 | (random & 1);
		}
		message[0] = (words + (random_next(&seed) % 8 == 0)) << 32;
		int64_t status = send_message(capos_caps.standard_input, CAPOS_CONSOLE_WRITE,
			(uint64_t)message, 8 * (words + 1), BYTES, sizeof bytes);
		CHECK(status < 0);
		status = send_message(capos_caps.vm, CAPOS_VIRTUAL_MEMORY_QUERY, (uint64_t)message,
			8 * (words + 1), BYTES, sizeof bytes);
		CHECK(status != 0);
	}
}

/* ---- ids ---- */

/* Every generation of a slot: only the one that was given out is valid. */
static void forged_generations_name_nothing(void)
{
	capos_cap_t cap = 0;
	uint64_t pages, good = 0;
	OK(capos_memory_allocator_create(capos_caps.memory_allocator, PAGE, &cap));
	for (uint64_t generation = 0; generation < 0x10000; generation++) {
		capos_cap_t forged = (cap & 0xffff) | (uint32_t)generation << 16;
		int64_t status = capos_memory_object_info(forged, &pages);
		if (forged == cap)
			good += status == 0 && pages == 1;
		else
			CHECK_EQUAL(status, CAPOS_TRANSPORT_E(INVOKE_FAILED));
	}
	CHECK_EQUAL(good, 1);
	for (uint32_t slot = 0; slot < 0x10000; slot++) {
		uint32_t forged =
			(cap & 0xffff0000) + 0x00010000 + slot; /* a generation not reached yet */
		if (slot > 64)
			CHECK(capos_release(forged | 0x70000000) < 0);
	}
	OK(capos_memory_object_info(cap, &pages));
	OK(capos_release(cap));
	CHECK_FAILS(OPCODE_RELEASE, INVOKE_FAILED, capos_release(cap));
	CHECK_EQUAL(capos_memory_object_info(cap, &pages), CAPOS_TRANSPORT_E(INVOKE_FAILED));
}

/* Every CapSet id with every method number: there is none past the last method. */
static void methods_past_the_last_are_rejected(void)
{
	for (unsigned i = 0; i < capos_cap_set()->count; i++)
		for (uint32_t method = 16; method < 0x10000; method = method * 3 / 2)
			CHECK_EQUAL(capos_call(capos_cap_entries()[i].cap, method, 0, 0, 0, 0, 0),
				CAPOS_TRANSPORT_E(INVOKE_FAILED));
}

static void numbers_and_opcodes_are_checked(void)
{
	for (uint64_t number = 2; number < 0x10000; number++) {
		if ((number & 0xff) == CAPOS_SYS_CAP_ENTER)
			continue;
		CHECK_EQUAL(capos_syscall(number, 1, 2, 3, 4, 5, 6),
			CAPOS_TRANSPORT_E(INVALID_REQUEST));
	}
	for (unsigned bit = 16; bit < 64; bit++) {
		CHECK_EQUAL(capos_syscall(1ull << bit, 0, 0, 0, 0, 0, 0),
			CAPOS_TRANSPORT_E(INVALID_REQUEST));
		CHECK_EQUAL(capos_syscall(1ull << bit | 1, 0, 0, 0, 0, 0, 0),
			CAPOS_TRANSPORT_E(INVALID_REQUEST));
		CHECK_EQUAL(capos_syscall(1ull << bit | 0x801, capos_caps.timer, 0, 0, 0, 0, 0),
			CAPOS_TRANSPORT_E(INVALID_REQUEST));
		CHECK_EQUAL(capos_syscall(CAPOS_SYS_EXIT, 0, 1ull << bit, 0, 0, 0, 0),
			CAPOS_TRANSPORT_E(INVALID_REQUEST));
	}
	for (uint64_t opcode = 1; opcode < 256; opcode++)
		CHECK(capos_register_call((uint32_t)opcode, 0, ~0ull, KERNEL_HALF, ~0ull, 0, 0) <
			0);
}

int main(void)
{
	uint64_t pages = vm_map(3 * PAGE, WRITE);
	if (vm_decommit(pages + PAGE, PAGE) < 0 || vm_protect(pages + 2 * PAGE, PAGE, READ) < 0)
		return 1;
	hole = pages + PAGE;
	edge = hole - 4;
	read_only = pages + 2 * PAGE;
	RUN(bad_pointers_are_rejected);
	RUN(reading_into_bad_pointers);
	RUN(notification_addresses_are_checked);
	RUN(bad_lengths_are_rejected);
	RUN(message_buffers_are_checked);
	RUN(garbage_messages_are_rejected);
	RUN(forged_generations_name_nothing);
	RUN(methods_past_the_last_are_rejected);
	RUN(numbers_and_opcodes_are_checked);
	return check_result();
}

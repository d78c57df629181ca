/* Fuzzer of the ring and of register calls: the input is a ring page and the program's memory. All
 * objects exist, so that the parameters of every method are decoded; methods with bytes read them
 * to the end. After each entry the kernel's indices must have moved together and every completion
 * must be one that the interface knows. In the end nothing may be left.
 *
 * The input: a byte of flags, the number of submissions, a word for wild indices, the submissions,
 * the program's memory. In a submission, the low byte of the CapId chooses a capability that is
 * held (255: the CapId is used unchanged), and an argument whose highest byte is 0x55 is an address
 * in the program's memory. */
#include "ring_kernel.h"

#define MUST(condition)           \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

#define HEAD_BYTES 16
#define SUBMISSION_BYTES sizeof(struct capos_submission)
#define ADDRESS 0x5500000000000000ull

enum {
	WILD_TAIL = 1,
	WILD_HEAD = 2,
	SCRIBBLED = 4,
	IN_HANDLER = 8,
	TRACED = 16,
	REGISTERS = 32,
	NO_MEMORY = 64
};

static cap_id_t held[CAPOS_GRANT_COUNT];

/* ---- methods with bytes ---- */

static status_t read_all(const struct buffer_in *data)
{
	uint8_t part[97];
	status_t status = STATUS_OK;
	for (size_t offset = 0; offset < data->length && status == STATUS_OK && offset < 65536;
		offset += sizeof part)
		status = buffer_read(data, offset, part,
			data->length - offset < sizeof part ? data->length - offset : sizeof part);
	return status;
}

status_t method_console_write(
	struct call *call, const struct console_write_params *in, struct console_write_results *out)
{
	(void)call, (void)out;
	return read_all(&in->data);
}

status_t method_console_write_line(struct call *call, const struct console_write_line_params *in,
	struct console_write_line_results *out)
{
	(void)call, (void)out;
	return read_all(&in->text);
}

status_t method_thread_spawner_spawn(struct call *call,
	const struct thread_spawner_spawn_params *in, struct thread_spawner_spawn_results *out)
{
	(void)call, (void)out;
	status_t status = read_all(&in->name);
	return status == STATUS_OK ? STATUS(LIMIT_REACHED) : status;
}

status_t method_host_share_write(struct call *call, const struct host_share_write_params *in,
	struct host_share_write_results *out)
{
	(void)call, (void)out;
	status_t status = read_all(&in->name);
	return status == STATUS_OK ? read_all(&in->data) : status;
}

status_t method_host_share_remove(struct call *call, const struct host_share_remove_params *in,
	struct host_share_remove_results *out)
{
	(void)call, (void)out;
	return read_all(&in->name);
}

/* ---- the input ---- */

static uint64_t address_of(uint64_t word)
{
	return word >> 56 == ADDRESS >> 56 ? USER_BASE + (word & 0xffffffffffffff) % USER_BYTES
					   : word;
}

static void take_submission(const uint8_t *data, struct capos_submission *s)
{
	memcpy(s, data, SUBMISSION_BYTES);
	if ((s->cap & 0xff) != 0xff)
		s->cap = held[(s->cap & 0xff) % CAPOS_GRANT_COUNT];
	uint64_t *args = (uint64_t *)s->args;
	for (unsigned i = 0; i < 6; i++)
		args[i] = address_of(args[i]);
}

static void enter_ring(uint8_t flags, uint64_t wild, uint32_t count)
{
	ring.header.submission_tail =
		flags & WILD_TAIL ? (uint32_t)wild : thread.submission_head + count;
	ring.header.completion_head =
		flags & WILD_HEAD ? (uint32_t)(wild >> 32) : thread.completion_tail;
	if (flags & SCRIBBLED) {
		ring.header.submission_head = (uint32_t)(wild >> 7);
		ring.header.completion_tail = (uint32_t)(wild >> 13);
	}
	uint32_t head = thread.submission_head, tail = thread.completion_tail;
	int64_t available = ring_enter(wild & 0xff, wild >> 8);
	uint32_t taken = thread.submission_head - head;
	MUST(taken == thread.completion_tail - tail && taken <= CAPOS_RING_SUBMISSIONS);
	MUST(ring.header.submission_head == thread.submission_head &&
		ring.header.completion_tail == thread.completion_tail);
	MUST(available >= 0 || (available == STATUS_TRANSPORT(INVALID_REQUEST) && taken == 0));
	for (uint32_t k = 0; k < taken; k++) {
		const struct capos_completion *got =
			&completions()[(tail + k) % CAPOS_RING_COMPLETIONS];
		MUST(got->user_data ==
			submissions()[(head + k) % CAPOS_RING_SUBMISSIONS].user_data);
		MUST(result_known(got->result) && got->flags == 0 && got->size == 0);
		MUST(!got->cap || got->result >= 0);
	}
}

/* The same fields as a call in registers. */
static void enter_by_registers(const struct capos_submission *s)
{
	const uint64_t *args = (const uint64_t *)s->args;
	struct trap_frame frame = { .rax = CAPOS_SYS_CAP_ENTER | (uint64_t)s->opcode << 8 |
			(uint64_t)s->flags << 16,
		.rdi = s->cap | (uint64_t)s->method << 32,
		.rsi = args[0],
		.rdx = args[1],
		.r10 = args[2],
		.r8 = args[3],
		.r9 = args[4] };
	int64_t result = syscall_entry(&frame);
	MUST(result >= 0 || result_known((int32_t)result));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < HEAD_BYTES)
		return 0;
	uint8_t flags = data[0];
	uint32_t count = data[1] % (CAPOS_RING_SUBMISSIONS + 1);
	uint64_t wild;
	memcpy(&wild, data + 8, sizeof wild);
	setup();
	for (unsigned i = 0; i < CAPOS_GRANT_COUNT; i++)
		MUST(cap_table_insert(&process.caps, grants[i].object, &held[i]) == STATUS_OK);
	data += HEAD_BYTES;
	size -= HEAD_BYTES;
	if (count > size / SUBMISSION_BYTES)
		count = (uint32_t)(size / SUBMISSION_BYTES);
	for (uint32_t i = 0; i < count; i++)
		take_submission(data + i * SUBMISSION_BYTES, &submissions()[i]);
	data += count * SUBMISSION_BYTES;
	size -= count * SUBMISSION_BYTES;
	memset(user_memory, 0, 8192);
	memcpy(user_memory, data, size < USER_BYTES ? size : USER_BYTES);
	thread.in_handler = flags & IN_HANDLER;
	trace_enabled = flags & TRACED;
	kmem_fail_after = flags & NO_MEMORY ? (long)(wild % 8) : -1;
	if (flags & REGISTERS)
		for (uint32_t i = 0; i < count; i++)
			enter_by_registers(&submissions()[i]);
	else
		enter_ring(flags, wild, count);
	kmem_fail_after = -1;
	teardown();
	MUST(!check_why[0]);
	return 0;
}

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

/* One correct message call: words of data and one text. */
static size_t sample(uint8_t *data, unsigned seed)
{
	struct capos_submission call = { .opcode = CAPOS_OPCODE_CALL,
		.method = seed % 11,
		.cap = seed / 11 % CAPOS_GRANT_COUNT,
		.user_data = seed };
	const uint64_t args[6] = { ADDRESS, 10 * 8, ADDRESS | 4096, 1024 };
	const uint64_t message[10] = { 9ull << 32, 5ull << 32 | 1ull << 48, 1, 64, 3, 0, 0,
		1 | 2ull << 32 | 8ull << 35, 0x0067666564636261 };
	memcpy((uint64_t *)call.args, args, sizeof args);
	if (seed & 0x10000) {
		call.opcode = CAPOS_OPCODE_COMPACT;
		memcpy((uint64_t *)call.args, message + 2, 4 * sizeof message[0]);
	}
	memset(data, 0, HEAD_BYTES);
	data[0] = seed & 0x20000 ? REGISTERS : 0;
	data[1] = 1;
	memcpy(data + HEAD_BYTES, &call, sizeof call);
	memcpy(data + HEAD_BYTES + sizeof call, message, sizeof message);
	return HEAD_BYTES + sizeof call + sizeof message;
}

/* A quarter of the time starts from a correct call, so that the fuzzer reaches the methods. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	if (seed % 4 == 0 && max >= 512)
		size = sample(data, seed >> 2);
	return LLVMFuzzerMutate(data, size, max);
}

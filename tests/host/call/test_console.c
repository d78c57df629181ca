/* Console.read and HostShare.write with a channel that returns what the test wants, in every form:
 * bytes, the end, an interrupted wait, a result that cannot be written, no memory, no channel. In
 * the machine tests no input stays open, and the channel always exists. */
#include "ring_kernel.h"

#include "../../provoke.h"

#include "dev/channel.h"
#include "sched/sched.h"

static cap_id_t input, output, host;
static bool present;
static status_t answer;
static char waiting[64];
static size_t waiting_size, put_back, kept, asked;
static char sent[1024];
static size_t sent_size;

status_t channel_send(
	uint32_t type, const void *head, size_t head_size, const void *tail, size_t tail_size)
{
	(void)type, (void)tail, (void)tail_size;
	if (sent_size + head_size <= sizeof sent)
		memcpy(sent + sent_size, head, head_size);
	sent_size += head_size;
	return STATUS_OK;
}

bool channel_present(void)
{
	return present;
}

status_t channel_read(void *buffer, size_t size, size_t *got)
{
	asked = size;
	*got = answer != STATUS_OK ? 0 : waiting_size < size ? waiting_size : size;
	memcpy(buffer, waiting, *got);
	waiting_size -= *got;
	memmove(waiting, waiting + *got, waiting_size);
	return answer;
}

void channel_read_done(const void *buffer, size_t size, bool delivered)
{
	if (delivered) {
		kept += size;
		return;
	}
	memmove(waiting + size, waiting, waiting_size);
	memcpy(waiting, buffer, size);
	waiting_size += size;
	put_back += size;
}

static void begin(const char *bytes, status_t status)
{
	setup();
	CHECK(cap_table_insert(&process.caps, &object_stdin, &input) == STATUS_OK);
	CHECK(cap_table_insert(&process.caps, &object_stdout, &output) == STATUS_OK);
	memset(user_memory, 0x5a, 4096);
	answer = status;
	waiting_size = strlen(bytes);
	memcpy(waiting, bytes, waiting_size);
	put_back = kept = asked = 0;
}

static int64_t read_in_registers(cap_id_t cap, uint64_t bytes, uint64_t address, uint64_t capacity)
{
	struct trap_frame frame = { .rax = CAPOS_SYS_CAP_ENTER | CAPOS_OPCODE_COMPACT << 8,
		.rdi = cap | (uint64_t)CAPOS_CONSOLE_READ << 32,
		.rsi = bytes,
		.rdx = address,
		.r10 = capacity };
	return syscall_entry(&frame);
}

static struct capos_completion perform(struct capos_submission submission)
{
	submissions()[ring.header.submission_tail++ % CAPOS_RING_SUBMISSIONS] = submission;
	CHECK(ring_enter(0, 0) == 1);
	return completions()[ring.header.completion_head++ % CAPOS_RING_COMPLETIONS];
}

/* In a message. An error is the code of the exception, as a status. */
static int64_t read_in_message(uint64_t bytes, uint64_t result_address)
{
	const uint64_t message[3] = { 2ull << 32, 1ull << 32, bytes };
	uint64_t exception[3];
	memcpy(user_memory + 2048, message, sizeof message);
	struct capos_completion got =
		perform((struct capos_submission){ .opcode = CAPOS_OPCODE_CALL,
			.cap = input,
			.method = CAPOS_CONSOLE_READ,
			.args = { USER_BASE + 2048, sizeof message, result_address, 512 } });
	if (got.result != STATUS_TRANSPORT(APPLICATION_EXCEPTION))
		return got.result;
	memcpy(exception, user_memory + (result_address - USER_BASE), sizeof exception);
	return -(int64_t)CAPOS_ERROR_BASE - (int64_t)(exception[2] >> 16 & 0xffff);
}

static void bytes_are_read(void)
{
	begin("abcdef", STATUS_OK);
	CHECK(read_in_registers(input, 4, USER_BASE, 100) == 4 && asked == 4);
	CHECK(memcmp(user_memory, "abcd\x5a", 5) == 0);
	CHECK(read_in_registers(input, 4, USER_BASE, 1) == 1 && asked == 1);
	CHECK(memcmp(user_memory, "ebcd\x5a", 5) == 0);
	CHECK(read_in_message(10, USER_BASE + 1024) == 8 + 8 + 8 + 8);
	CHECK(user_memory[1024 + 24] == 'f');
	CHECK(read_in_registers(input, 4, USER_BASE, 4) == 0); /* the end */
	CHECK(put_back == 0 && kept == 6);
	teardown();
}

static void interrupted_reads_say_so(void)
{
	begin("", STATUS(INTERRUPTED));
	CHECK_FAILS(CONSOLE_READ, INTERRUPTED, read_in_registers(input, 4, USER_BASE, 100));
	CHECK_FAILS(CONSOLE_READ, INTERRUPTED, read_in_message(4, USER_BASE + 1024));
	CHECK(user_memory[0] == 0x5a);
	teardown();
}

/* Bytes that could not be delivered go to the next reader. */
static void bytes_for_a_bad_address_are_kept(void)
{
	begin("abcdef", STATUS_OK);
	static const uint64_t bad[] = { 0, 8, USER_BASE - 4, USER_BASE + USER_BYTES - 2,
		0xffff800000000000, ~0ull };
	for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		CHECK_FAILS(CONSOLE_READ, BAD_ADDRESS, read_in_registers(input, 4, bad[i], 100));
		CHECK(put_back == 4 * (i + 1) && waiting_size == 6);
	}
	CHECK(read_in_registers(input, 6, USER_BASE, 6) == 6 &&
		memcmp(user_memory, "abcdef", 6) == 0);
	teardown();
}

static void errors_take_nothing(void)
{
	begin("abcdef", STATUS_OK);
	CHECK(read_in_registers(output, 4, USER_BASE, 100) == STATUS(NO_RIGHTS));
	CHECK(read_in_registers(input, 0, USER_BASE, 100) == STATUS(INVALID_ARGUMENT));
	CHECK(read_in_registers(input, 4, USER_BASE, 0) == STATUS(INVALID_ARGUMENT));
	CHECK(read_in_message(0, USER_BASE + 1024) == STATUS(INVALID_ARGUMENT));
	CHECK(waiting_size == 6 && asked == 0);
	teardown();
}

static void without_memory_nothing_is_read(void)
{
	begin("abcdef", STATUS_OK);
	kmem_fail_after = 0;
	CHECK_FAILS(CONSOLE_READ, NO_MEMORY, read_in_registers(input, 4, USER_BASE, 100));
	kmem_fail_after = -1;
	CHECK(waiting_size == 6 && asked == 0);
	teardown();
}

/* A byte for the file x, in registers: five words. */
static int64_t write_to_host(void)
{
	const uint64_t words[5] = { USER_BASE + 512, 1, 0, USER_BASE + 513, 1 };
	memcpy(user_memory + 512, "xy", 2);
	struct trap_frame frame = { .rax = CAPOS_SYS_CAP_ENTER | CAPOS_OPCODE_COMPACT << 8,
		.rdi = host | (uint64_t)CAPOS_HOST_SHARE_WRITE << 32,
		.rsi = words[0],
		.rdx = words[1],
		.r10 = words[2],
		.r8 = words[3],
		.r9 = words[4] };
	return syscall_entry(&frame);
}

static void host_writes_need_memory_and_a_channel(void)
{
	begin("", STATUS_OK);
	CHECK(cap_table_insert(&process.caps, &object_host, &host) == STATUS_OK);
	present = true;
	sent_size = 0;
	kmem_fail_after = 0;
	CHECK_FAILS(HOST_SHARE_WRITE, NO_MEMORY, write_to_host());
	kmem_fail_after = -1;
	present = false;
	CHECK_FAILS(HOST_SHARE_WRITE, DISCONNECTED, write_to_host());
	CHECK(sent_size == 0);
	present = true;
	CHECK(write_to_host() == 0 && sent_size != 0);
	teardown();
}

static int64_t remove_from_host(uint64_t length)
{
	memcpy(user_memory + 512, "a/b", 3);
	struct trap_frame frame = { .rax = CAPOS_SYS_CAP_ENTER | CAPOS_OPCODE_COMPACT << 8,
		.rdi = host | (uint64_t)CAPOS_HOST_SHARE_REMOVE << 32,
		.rsi = USER_BASE + 512,
		.rdx = length };
	return syscall_entry(&frame);
}

/* The message is the name alone. */
static void removals_need_a_channel_and_no_memory(void)
{
	begin("", STATUS_OK);
	CHECK(cap_table_insert(&process.caps, &object_host, &host) == STATUS_OK);
	present = false;
	sent_size = 0;
	CHECK_FAILS(HOST_SHARE_REMOVE, DISCONNECTED, remove_from_host(3));
	present = true;
	kmem_fail_after = 0;
	CHECK(remove_from_host(2) == STATUS(INVALID_ARGUMENT) && sent_size == 0);
	CHECK(remove_from_host(3) == 0 && sent_size == 3 && memcmp(sent, "a/b", 3) == 0);
	kmem_fail_after = -1;
	teardown();
}

/* A program can report that there is no memory, because that needs none. */
static void words_need_no_memory(void)
{
	begin("", STATUS_OK);
	for (unsigned i = 0; i < 1000; i++)
		user_memory[i] = (uint8_t)(i * 7);
	struct trap_frame frame = { .rax = CAPOS_SYS_CAP_ENTER | CAPOS_OPCODE_COMPACT << 8,
		.rdi = output | (uint64_t)CAPOS_CONSOLE_WRITE << 32,
		.rsi = USER_BASE,
		.rdx = 1000 };
	sent_size = 0;
	kmem_fail_after = 0;
	CHECK(syscall_entry(&frame) == 0);
	kmem_fail_after = -1;
	CHECK(sent_size == 1000 && memcmp(sent, user_memory, 1000) == 0);
	teardown();
}

int main(void)
{
	RUN(words_need_no_memory);
	RUN(bytes_are_read);
	RUN(interrupted_reads_say_so);
	RUN(bytes_for_a_bad_address_are_kept);
	RUN(errors_take_nothing);
	RUN(without_memory_nothing_is_read);
	RUN(host_writes_need_memory_and_a_channel);
	RUN(removals_need_a_channel_and_no_memory);
	provoked_print();
	return check_failures != 0;
}

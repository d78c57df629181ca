/* Process.crash: registers and return addresses of the fault that ended a process, whatever its
 * frame pointers are, and none for other ends. */
#include "spawn.h"

#define FRAMES CAPOS_CRASH_FRAMES_MAX

/* crash_outer calls crash_inner, which faults at crash_place; crash_deep calls itself RDI times
 * first; crash_with faults with RBP = RDI. */
void crash_outer(void);
void crash_deep(uint64_t times);
void crash_with(uint64_t base);
extern const char crash_place[], crash_return[], crash_again[], crash_bare[];
__asm__(".text\n"
	".globl crash_outer, crash_deep, crash_with, crash_place, crash_return, crash_again\n"
	".globl crash_bare\n"
	"crash_outer:\n\t"
	"pushq %rbp\n\tmovq %rsp, %rbp\n\tcall crash_inner\n"
	"crash_return:\n\tud2\n"
	"crash_inner:\n\t"
	"pushq %rbp\n\tmovq %rsp, %rbp\n\tmovq $0x12345, %rbx\n\tmovq $-7, %r15\n"
	"crash_place:\n\tmovl $1, 0x1238\n\tud2\n"
	"crash_deep:\n\t"
	"pushq %rbp\n\tmovq %rsp, %rbp\n\tdecq %rdi\n\tjz 1f\n\tcall crash_deep\n"
	"crash_again:\n\tud2\n1:\tpopq %rbp\n\tjmp crash_inner\n"
	"crash_with:\n\t"
	"movq %rdi, %rbp\n"
	"crash_bare:\n\tud2\n");

/* ---- roles ---- */

static int role_outer(int argc, char **argv)
{
	(void)argc, (void)argv;
	crash_outer();
	return 1;
}

static int role_deep(int argc, char **argv)
{
	(void)argc, (void)argv;
	crash_deep(100);
	return 1;
}

static int role_with(int argc, char **argv)
{
	(void)argc;
	uint64_t own_frame[2] = { (uint64_t)own_frame, 0x77 };
	crash_with(strcmp(argv[2], "self") == 0 ? (uint64_t)own_frame : strtoull(argv[2], NULL, 0));
	return 1;
}

static int64_t crash_in_thread(void *argument)
{
	(void)argument;
	crash_outer();
	return 1;
}

static int role_threads(int argc, char **argv)
{
	(void)argc, (void)argv;
	struct capos_thread *thread;
	for (int i = 0; i < 8; i++)
		capos_thread_start(&thread, crash_in_thread, NULL, NULL);
	capos_sleep_ns(CAPOS_WAIT_FOREVER / 2);
	return 1;
}

/* Takes all memory, then faults. */
static int role_eat(int argc, char **argv)
{
	(void)argc, (void)argv;
	uint64_t address;
	while (capos_virtual_memory_map(capos_caps.vm, 0, PAGE, WRITE, &address) == 0)
		;
	crash_outer();
	return 1;
}

static int role_exit(int argc, char **argv)
{
	(void)argc, (void)argv;
	return 3;
}

static int role_sleep(int argc, char **argv)
{
	(void)argc, (void)argv;
	capos_sleep_ns(CAPOS_WAIT_FOREVER / 2);
	return 1;
}

static const struct role roles[] = { { "outer", role_outer }, { "deep", role_deep },
	{ "with", role_with }, { "threads", role_threads }, { "eat", role_eat },
	{ "exit", role_exit }, { "sleep", role_sleep } };

/* ---- tests ---- */

struct crash {
	struct capos_crash_record record;
	struct capos_thread_state state;
	uint64_t frames[FRAMES];
	struct capos_process_end end;
};

static struct crash crash;

/* Waits for the child, and reads its record; the status of that. */
static int64_t read_crash(capos_cap_t child)
{
	memset(&crash, 0, sizeof crash);
	CHECK_EQUAL(capos_process_wait(child, CAPOS_WAIT_FOREVER, &crash.end, sizeof crash.end),
		sizeof crash.end);
	int64_t status = capos_process_crash(child, &crash.record, sizeof crash.record);
	memcpy(&crash.state, crash.record.state, sizeof crash.state);
	memcpy(crash.frames, crash.record.frames, sizeof crash.frames);
	return status;
}

static void check_place(const char *place)
{
	CHECK_EQUAL(crash.end.kind, CAPOS_EXIT_KIND_FAULTED);
	CHECK_EQUAL(crash.record.process_id, crash.end.process_id);
	CHECK_EQUAL(crash.record.thread_id, crash.end.fault_thread);
	CHECK_EQUAL(crash.state.kind, crash.end.code);
	CHECK_EQUAL(crash.state.rip, place);
	CHECK_EQUAL(crash.end.fault_place, place);
}

static void check_inner(void)
{
	check_place(crash_place);
	CHECK_EQUAL(crash.state.kind, CAPOS_NOTIFICATION_KIND_PAGE_FAULT);
	CHECK_EQUAL(crash.state.code, CAPOS_FAULT_MAPPING);
	CHECK_EQUAL(crash.state.address, 0x1238);
	CHECK_EQUAL(crash.state.rbx, 0x12345);
	CHECK_EQUAL(crash.state.r15, -7);
}

static void registers_and_frames_are_told(void)
{
	struct capos_memory_usage before = program_usage();
	capos_cap_t child = spawn("outer", NULL);
	CHECK_EQUAL(read_crash(child), sizeof crash.record);
	check_inner();
	CHECK(crash.record.frame_count >= 2 && crash.record.frame_count <= FRAMES);
	CHECK_EQUAL(crash.frames[0], crash_return);
	CHECK(crash.frames[1] >= (uint64_t)role_outer &&
		crash.frames[1] < (uint64_t)role_outer + 64);
	OK(capos_release(child));
	child = spawn("threads", NULL);
	CHECK_EQUAL(read_crash(child), sizeof crash.record);
	check_inner();
	CHECK_EQUAL(crash.frames[0], crash_return);
	OK(capos_release(child));
	CHECK_EQUAL(program_usage().committed_pages, before.committed_pages);
}

static void frames_are_bounded(void)
{
	static const char *const bases[] = { "0", "8", "0x7000", "0x7fffffffeff8",
		"0xffff800000000000", "0xfffffffffffffff8", "1" };
	capos_cap_t child = spawn("deep", NULL);
	CHECK_EQUAL(read_crash(child), sizeof crash.record);
	check_inner();
	CHECK_EQUAL(crash.record.frame_count, FRAMES);
	for (unsigned i = 0; i < FRAMES; i++)
		CHECK_EQUAL(crash.frames[i], crash_again);
	OK(capos_release(child));
	child = spawn("with", "self");
	CHECK_EQUAL(read_crash(child), sizeof crash.record);
	check_place(crash_bare);
	CHECK_EQUAL(crash.record.frame_count, 1);
	CHECK_EQUAL(crash.frames[0], 0x77);
	OK(capos_release(child));
	for (unsigned i = 0; i < sizeof bases / sizeof bases[0]; i++) {
		child = spawn("with", bases[i]);
		CHECK_EQUAL(read_crash(child), sizeof crash.record);
		check_place(crash_bare);
		CHECK_EQUAL(crash.record.frame_count, 0);
		CHECK_EQUAL(crash.state.rbp, strtoull(bases[i], NULL, 0));
		OK(capos_release(child));
	}
}

static void other_ends_have_none(void)
{
	capos_cap_t child = spawn("sleep", NULL);
	CHECK_FAILS(PROCESS_CRASH, NOT_FOUND, capos_process_crash(child, &crash, sizeof crash));
	OK(capos_process_kill(child));
	CHECK_FAILS(PROCESS_CRASH, NOT_FOUND, read_crash(child));
	OK(capos_release(child));
	child = spawn("exit", NULL);
	CHECK_FAILS(PROCESS_CRASH, NOT_FOUND, read_crash(child));
	CHECK_FAILS(
		PROCESS_CRASH, NOT_FOUND, capos_process_crash_message(child, &crash, sizeof crash));
	OK(capos_release(child));
}

/* The whole limit comes back, whether there was room for the record or not. */
static void a_full_process_ends_too(void)
{
	struct capos_memory_usage before = program_usage();
	struct grants grants = usual_grants();
	for (uint64_t pages = 200; pages < 212; pages++) {
		struct strings args = arguments("eat", NULL);
		capos_cap_t child = 0;
		OK(spawn_with(&grants, &args, pages, &child));
		int64_t status = read_crash(child);
		CHECK(status == sizeof crash.record || status == CAPOS_E(NOT_FOUND));
		CHECK_EQUAL(crash.end.kind, CAPOS_EXIT_KIND_FAULTED);
		OK(capos_release(child));
		CHECK_EQUAL(program_usage().committed_pages, before.committed_pages);
	}
}

static void bad_pointers_are_named(void)
{
	static const uint64_t bad[] = { 8, KERNEL_HALF, NON_CANONICAL, CAPOS_USER_TOP };
	capos_cap_t child = spawn("outer", NULL);
	CHECK_EQUAL(read_crash(child), sizeof crash.record);
	for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CHECK_FAILS(PROCESS_CRASH, BAD_ADDRESS,
			capos_process_crash(child, (void *)bad[i], sizeof crash.record));
	CHECK_EQUAL(capos_process_crash(child, &crash.record, 16), 16);
	CHECK_EQUAL(capos_process_crash_message(child, &crash.record, sizeof crash.record),
		sizeof crash.record);
	OK(capos_release(child));
}

int main(int argc, char **argv)
{
	int code = PLAY_ROLE(argc, argv);
	if (code >= 0 || argc > 1)
		return code;
	read_crash(spawn("outer", NULL)); /* the first touches pages of the stack */
	check_why[0] = '\0';
	RUN(registers_and_frames_are_told);
	RUN(frames_are_bounded);
	RUN(other_ends_have_none);
	RUN(a_full_process_ends_too);
	RUN(bad_pointers_are_named);
	return check_result();
}

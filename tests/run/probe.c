/* The program for the tests of ./capos run: each mode shows one thing that must pass through, or
 * ends in one way. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <capos/capos.h>

extern char **environ;

static int show_args(int argc, char **argv)
{
	for (int i = 2; i < argc; i++)
		printf("%zu:%s\n", strlen(argv[i]), argv[i]);
	return 0;
}

static int show_env(int argc, char **argv)
{
	(void)argc, (void)argv;
	for (char **entry = environ; *entry; entry++)
		puts(*entry);
	return 0;
}

static int copy_stdin(int argc, char **argv)
{
	static char buffer[4096];
	size_t total = 0, count;

	(void)argc, (void)argv;
	while ((count = fread(buffer, 1, sizeof(buffer), stdin)) > 0) {
		fwrite(buffer, 1, count, stdout);
		total += count;
	}
	fprintf(stderr, "%zu bytes\n", total);
	return 0;
}

/* A conversation: one line of input for each question, until the input ends. */
static int ask(int argc, char **argv)
{
	char line[256];
	int count = 0;

	(void)argc, (void)argv;
	for (;;) {
		fputs("next? ", stdout);
		fflush(stdout);
		if (!fgets(line, sizeof(line), stdin))
			break;
		printf("%d: %s", ++count, line);
	}
	printf("end after %d lines\n", count);
	return count;
}

static int exit_with(int argc, char **argv)
{
	return argc > 2 ? atoi(argv[2]) : 0;
}

/* Every byte value, many times over and without a newline at the end. */
static int write_bytes(int argc, char **argv)
{
	static unsigned char block[256];

	(void)argc, (void)argv;
	for (int i = 0; i < 256; i++)
		block[i] = (unsigned char)i;
	for (int i = 0; i < 1000; i++)
		fwrite(block, 1, sizeof(block), stdout);
	return 0;
}

static int write_both(int argc, char **argv)
{
	(void)argc, (void)argv;
	fputs("to stdout\n", stdout);
	fputs("to stderr\n", stderr);
	return 0;
}

static int sleep_long(int argc, char **argv)
{
	(void)argc, (void)argv;
	puts("sleeping");
	capos_sleep_ns(3600ull * 1000000000);
	return 0;
}

static int spin(int argc, char **argv)
{
	(void)argc, (void)argv;
	puts("spinning");
	for (volatile uint64_t i = 0;; i++)
		;
}

static void ignore(uint32_t kind, struct capos_thread_state *state)
{
	(void)kind, (void)state;
}

/* Accepts every notification and goes on. */
static int deaf(int argc, char **argv)
{
	capos_notification_set_handler(ignore);
	puts("listening");
	for (;;)
		sleep_long(argc, argv);
}

__attribute__((noinline)) static int read_nil(int argc, char **argv)
{
	volatile int *pointer = argc > 100 ? (volatile int *)argv : NULL;

	return *pointer;
}

static int write_code(int argc, char **argv)
{
	(void)argc, (void)argv;
	*(volatile char *)(uintptr_t)write_code = 0;
	return 0;
}

static int divide(int argc, char **argv)
{
	volatile int zero = 0;

	(void)argv;
	return argc / zero;
}

static int illegal(int argc, char **argv)
{
	(void)argc, (void)argv;
	__asm__ volatile("ud2");
	return 0;
}

static int breakpoint(int argc, char **argv)
{
	(void)argc, (void)argv;
	__asm__ volatile("int3");
	return 0;
}

static int privileged(int argc, char **argv)
{
	(void)argc, (void)argv;
	__asm__ volatile("hlt");
	return 0;
}

/* No frame is reserved for demand-zero pages: touching more of them than the machine has runs out
 * of memory. */
static int exhaust(int argc, char **argv)
{
	const uint64_t size = 1ull << 32, page = 4096;
	uint64_t address;

	(void)argc, (void)argv;
	if (capos_virtual_memory_map(capos_caps.vm, 0, size,
		    CAPOS_PROT_READ | CAPOS_PROT_WRITE | CAPOS_COMMIT_DEMAND_ZERO, &address) < 0)
		return 3;
	for (uint64_t offset = 0; offset < size; offset += page)
		*(volatile char *)(address + offset) = 1;
	return 0;
}

static uint64_t latest_ns;
static int64_t stall_over;

/* Sleeps a millisecond at a time, and notes by how much it came late. */
static int64_t keep_time(void *unused)
{
	(void)unused;
	while (!__atomic_load_n(&stall_over, __ATOMIC_SEQ_CST)) {
		uint64_t until = capos_now_ns() + 1000000;

		capos_sleep_until_ns(until);
		if (capos_now_ns() - until > latest_ns)
			latest_ns = capos_now_ns() - until;
	}
	return 0;
}

static char block[65536];

/* Writes much more than any queue holds, and says how late a timer was meanwhile. */
static int stall(int argc, char **argv)
{
	struct capos_thread *keeper;

	(void)argc, (void)argv;
	if (capos_thread_start(&keeper, keep_time, NULL, NULL) < 0)
		return 3;
	memset(block, 'x', sizeof(block));
	for (int i = 0; i < 100; i++)
		if (capos_console_write(capos_caps.standard_output, block, sizeof(block)) < 0)
			return 4;
	__atomic_store_n(&stall_over, 1, __ATOMIC_SEQ_CST);
	capos_thread_join(keeper, NULL);
	fprintf(stderr, "late by %llu ms\n", (unsigned long long)(latest_ns / 1000000));
	return 0;
}

/* Writes until it is ended. */
static int flood(int argc, char **argv)
{
	(void)argc, (void)argv;
	memset(block, 'x', sizeof(block));
	for (;;)
		fwrite(block, 1, sizeof(block), stdout);
}

/* Finds the CPUs to which threads can be sent, and checks that they arrive there: now, and again
 * after the given time in milliseconds. */
static int visit_cpus(int argc, char **argv)
{
	struct capos_process_info process;
	struct capos_thread_info thread;
	capos_cap_t self;

	if (capos_thread_control_self(capos_caps.thread_control, &self) < 0)
		return 2;
	for (int round = 0; round < 2; round++) {
		if (capos_system_info_process(capos_caps.system, &process, sizeof(process)) < 0)
			return 3;
		printf("%u:", process.cpus_online);
		for (unsigned cpu = 0; cpu < CAPOS_CPUS_MAX; cpu++) {
			bool there = process.cpu_mask >> cpu & 1;

			if ((capos_thread_handle_set_affinity(self, 1ull << cpu) >= 0) != there)
				return 4;
			if (!there)
				continue;
			if (capos_thread_handle_info(self, &thread, sizeof(thread)) < 0 ||
				thread.cpu != cpu)
				return 5;
			printf(" %u", cpu);
		}
		putchar('\n');
		if (round == 0 && argc > 2)
			capos_sleep_ns((uint64_t)atoi(argv[2]) * 1000000);
	}
	return 0;
}

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} modes[] = {
	{ "args", show_args },
	{ "env", show_env },
	{ "cat", copy_stdin },
	{ "exit", exit_with },
	{ "bytes", write_bytes },
	{ "both", write_both },
	{ "sleep", sleep_long },
	{ "spin", spin },
	{ "read-nil", read_nil },
	{ "divide", divide },
	{ "write-code", write_code },
	{ "illegal", illegal },
	{ "breakpoint", breakpoint },
	{ "privileged", privileged },
	{ "deaf", deaf },
	{ "ask", ask },
	{ "exhaust", exhaust },
	{ "cpus", visit_cpus },
	{ "stall", stall },
	{ "flood", flood },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (!strcmp(argv[1], modes[i].name))
			return modes[i].run(argc, argv);
	}
	fprintf(stderr, "probe: which mode?\n");
	return 2;
}

/* libcapos on the machine: start-up, threads with TLS, locks, time, heap, notifications, and both
 * call forms. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <capos/capos.h>

static int failures;
static char why[200];

#define CHECK(condition)                                                                 \
	do {                                                                             \
		if (!(condition)) {                                                      \
			snprintf(why, sizeof(why), "line %d: %s", __LINE__, #condition); \
			return;                                                          \
		}                                                                        \
	} while (0)

/* ---- start-up and TLS ---- */

static int constructed;
static _Thread_local int tls_value = 41;
static _Thread_local char tls_zero[100];
static _Thread_local struct {
	char bytes[256];
} tls_aligned __attribute__((aligned(256))) = { { 1, 2, 3 } };

__attribute__((constructor)) static void construct(void)
{
	constructed = 7;
}

static int64_t check_tls(void *argument)
{
	uint64_t pointer;

	(void)argument;
	__asm__("movq %%fs:0, %0" : "=r"(pointer));
	if (tls_value != 41 || tls_zero[99] != 0 || tls_aligned.bytes[2] != 3 ||
		((uintptr_t)&tls_aligned & 255) != 0)
		return 1;
	tls_value++;
	tls_zero[99] = 1;
	if ((uintptr_t)&tls_value >= pointer)
		return 2;
	return 0;
}

static void test_start(void)
{
	CHECK(constructed == 7);
	CHECK(capos_cap_set()->magic == CAPOS_CAP_SET_MAGIC &&
		capos_cap_set()->version == CAPOS_ABI_VERSION);
	CHECK(capos_cap("stdout") == capos_caps.standard_output && capos_cap("no such thing") == 0);
	CHECK(capos_auxiliary(6) == CAPOS_PAGE_SIZE);
	CHECK(check_tls(NULL) == 0);
}

/* ---- threads ---- */

static void test_tls_of_threads(void)
{
	for (int i = 0; i < 20; i++) {
		struct capos_thread *thread;
		int64_t result = -1;

		CHECK(capos_thread_start(&thread, check_tls, NULL, NULL) == 0);
		CHECK(capos_thread_join(thread, &result) == 0 && result == 0);
	}
}

static int64_t identify(void *argument)
{
	*(uint64_t *)argument = capos_thread_id();
	capos_thread_exit((int64_t)1 << 40);
}

static void test_thread_result(void)
{
	struct capos_thread_options options = { .stack_size_bytes = 100000, .name = "worker" };
	struct capos_thread *thread;
	uint64_t id = 0;
	int64_t result = 0;

	CHECK(capos_thread_start(&thread, identify, &id, &options) == 0);
	CHECK(capos_thread_join(thread, &result) == 0);
	CHECK(result == (int64_t)1 << 40 && id != 0 && id != capos_thread_id());
}

static struct capos_mutex mutex = CAPOS_MUTEX_INITIALIZER;
static struct capos_cond cond = CAPOS_COND_INITIALIZER;
static uint64_t counter;

static int64_t count_up(void *argument)
{
	for (uintptr_t i = 0; i < (uintptr_t)argument; i++) {
		capos_mutex_lock(&mutex);
		counter++;
		if (i % 64 == 0)
			capos_thread_yield();
		capos_mutex_unlock(&mutex);
	}
	return 0;
}

static void end_in_handler(uint32_t kind, struct capos_thread_state *state)
{
	(void)kind, (void)state;
	capos_thread_exit(5);
}

static int64_t fault_and_end(void *argument)
{
	(void)argument;
	if (capos_notification_set_handler(end_in_handler) < 0)
		return 1;
	*(volatile int *)8 = 0;
	return 2;
}

static uint64_t reserved_pages(void)
{
	struct capos_memory_usage usage = { 0 };

	return capos_virtual_memory_usage(capos_caps.vm, &usage, sizeof(usage)) < 0
		? 0
		: usage.reserved_pages;
}

/* The handler's stack is freed with the thread, although the thread stands on it. */
static void test_end_in_handler(void)
{
	struct capos_thread *thread;
	int64_t result = 0;
	uint64_t before = reserved_pages();

	for (int i = 0; i < 3; i++) {
		CHECK(capos_thread_start(&thread, fault_and_end, NULL, NULL) == 0);
		CHECK(capos_thread_join(thread, &result) == 0 && result == 5);
	}
	CHECK(before != 0 && reserved_pages() == before);
}

/* Data too large for a message fails before anything is copied; so do numbers out of range. Writing
 * nothing is no error. */
static void test_edges(void)
{
	char *end;

	CHECK(capos_console_write_message(capos_caps.standard_output, "x", SIZE_MAX) < 0);
	CHECK(capos_console_write_message(capos_caps.standard_output, "x",
		      CAPOS_MESSAGE_BYTES_MAX + 1) == CAPOS_TRANSPORT_E(INVALID_PARAMS_BUFFER));
	CHECK(capos_console_write_message(capos_caps.standard_output, "x",
		      CAPOS_MESSAGE_BYTES_MAX - 8) == CAPOS_TRANSPORT_E(INVALID_PARAMS_BUFFER));
	errno = 0;
	CHECK(strtoull("-99999999999999999999", &end, 10) == ULLONG_MAX && errno == ERANGE &&
		*end == 0);
	CHECK(strtoull("-1", &end, 10) == ULLONG_MAX);
	CHECK(strtoll("-99999999999999999999", &end, 10) == LLONG_MIN);
	CHECK(strtoll("-9223372036854775808", &end, 10) == LLONG_MIN);
	CHECK(fwrite("x", 0, 5, stdout) == 0);
}

static void test_mutex(void)
{
	struct capos_thread *threads[4];

	counter = 0;
	for (int i = 0; i < 4; i++)
		CHECK(capos_thread_start(&threads[i], count_up, (void *)2000, NULL) == 0);
	for (int i = 0; i < 4; i++)
		CHECK(capos_thread_join(threads[i], NULL) == 0);
	CHECK(counter == 8000);
}

static int64_t answer(void *argument)
{
	(void)argument;
	capos_mutex_lock(&mutex);
	for (uint64_t turn = 1; turn < 200; turn += 2) {
		while (counter != turn)
			capos_cond_wait(&cond, &mutex);
		counter++;
		capos_cond_signal(&cond);
	}
	capos_mutex_unlock(&mutex);
	return 0;
}

static void test_cond(void)
{
	struct capos_thread *thread;

	counter = 0;
	CHECK(capos_thread_start(&thread, answer, NULL, NULL) == 0);
	capos_mutex_lock(&mutex);
	for (uint64_t turn = 0; turn < 200; turn += 2) {
		while (counter != turn)
			capos_cond_wait(&cond, &mutex);
		counter++;
		capos_cond_broadcast(&cond);
	}
	capos_mutex_unlock(&mutex);
	CHECK(capos_thread_join(thread, NULL) == 0);
	CHECK(counter == 200);
}

static void test_cond_timeout(void)
{
	uint64_t deadline = capos_deadline_ns(5000000);
	bool woken = true;

	capos_mutex_lock(&mutex);
	while (woken && capos_now_ns() < deadline)
		woken = capos_cond_wait_until(&cond, &mutex, deadline);
	capos_mutex_unlock(&mutex);
	CHECK(capos_now_ns() >= deadline);
}

static int64_t finish(void *argument)
{
	__atomic_fetch_add((uint64_t *)argument, 1, __ATOMIC_RELAXED);
	return 0;
}

/* Threads detached before and after their end must all give their memory back. */
static void test_detach(void)
{
	struct capos_memory_usage before, after;
	uint64_t ended = 0, limit;

	CHECK(capos_virtual_memory_usage(capos_caps.vm, &before, sizeof(before)) == sizeof(before));
	for (int i = 0; i < 40; i++) {
		struct capos_thread *thread;

		CHECK(capos_thread_start(&thread, finish, &ended, NULL) == 0);
		if (i % 2 == 0)
			capos_sleep_ns(1000000);
		CHECK(capos_thread_detach(thread) == 0);
	}
	limit = capos_deadline_ns(5000000000);
	do {
		capos_sleep_ns(1000000);
		CHECK(capos_virtual_memory_usage(capos_caps.vm, &after, sizeof(after)) ==
			sizeof(after));
	} while (after.reserved_pages > before.reserved_pages && capos_now_ns() < limit);
	CHECK(ended == 40);
	CHECK(after.reserved_pages == before.reserved_pages);
}

static int64_t recurse(void *argument)
{
	volatile char page[4096];
	uintptr_t depth = (uintptr_t)argument;

	page[0] = (char)depth;
	return depth == 0 ? page[0]
			  : recurse((void *)(depth - 1)) + (page[0] == (char)depth ? 0 : 1);
}

static void test_stack(void)
{
	struct capos_thread_options options = { .stack_size_bytes = 1 << 20 };
	struct capos_thread *thread;
	int64_t result = -1;

	CHECK(capos_thread_start(&thread, recurse, (void *)200, &options) == 0);
	CHECK(capos_thread_join(thread, &result) == 0 && result == 0);
}

/* ---- time ---- */

static void test_time(void)
{
	uint64_t before = capos_now_ns(), kernel, tick, after;
	int64_t wall;

	CHECK(capos_timer_now(capos_caps.timer, &kernel, &tick) == 0);
	after = capos_now_ns();
	CHECK(before <= kernel && kernel <= after);
	CHECK(capos_timer_now_message(capos_caps.timer, &kernel, &tick) == 0 && kernel >= after);
	CHECK(capos_timer_wall(capos_caps.timer, &wall) == 0);
	CHECK(wall > 1700000000000000000 && llabs(wall - capos_wall_ns()) < 1000000000);
	CHECK(capos_timer_wall_message(capos_caps.timer, &wall) == 0 &&
		llabs(wall - capos_wall_ns()) < 1000000000);
	before = capos_now_ns();
	CHECK(capos_sleep_ns(3000000) == 0);
	CHECK(capos_now_ns() - before >= 3000000);
}

/* ---- heap ---- */

static int64_t churn(void *argument)
{
	unsigned char *blocks[32] = { 0 };
	uint32_t state = (uint32_t)(uintptr_t)argument;

	for (int i = 0; i < 4000; i++) {
		uint32_t slot = (state = state * 1664525 + 1013904223) >> 27;

		if (blocks[slot] != NULL && blocks[slot][0] != (unsigned char)(uintptr_t)argument)
			return 1;
		free(blocks[slot]);
		blocks[slot] = malloc(1 + (state >> 8) % (i % 50 == 0 ? 60000 : 400));
		if (blocks[slot] == NULL)
			return 2;
		blocks[slot][0] = (unsigned char)(uintptr_t)argument;
	}
	for (int i = 0; i < 32; i++)
		free(blocks[i]);
	return 0;
}

static void test_heap(void)
{
	void *(*volatile allocate)(size_t) = malloc;
	struct capos_thread *threads[3];

	for (uintptr_t i = 0; i < 3; i++)
		CHECK(capos_thread_start(&threads[i], churn, (void *)(i + 1), NULL) == 0);
	for (int i = 0; i < 3; i++) {
		int64_t result = -1;

		CHECK(capos_thread_join(threads[i], &result) == 0 && result == 0);
	}
	/* Through a pointer, or the compiler would drop the pair and assume success. */
	CHECK(allocate((size_t)1 << 46) == NULL);
}

/* ---- notifications ---- */

static volatile uint32_t seen_kind;
static volatile uint64_t seen_address;

static void step_over(uint32_t kind, struct capos_thread_state *state)
{
	seen_kind = kind;
	seen_address = state->address;
	state->rax = 0x77;
	state->rip += 2; /* movl (%rdi), %eax */
}

static uint64_t load(uint64_t address)
{
	uint64_t value = 1;

	__asm__ volatile("movl (%%rdi), %%eax" : "+a"(value) : "D"(address) : "memory");
	return value;
}

static int64_t fault_in_thread(void *argument)
{
	(void)argument;
	if (capos_notification_set_handler(step_over) != 0)
		return 1;
	for (int i = 0; i < 10; i++) {
		if (load(0x10000 - 8) != 0x77)
			return 2;
	}
	return 0;
}

static void test_fault(void)
{
	struct capos_thread *thread;
	int64_t result = -1;

	CHECK(capos_thread_start(&thread, fault_in_thread, NULL, NULL) == 0);
	CHECK(capos_thread_join(thread, &result) == 0 && result == 0);
	CHECK(seen_kind == CAPOS_NOTIFICATION_KIND_PAGE_FAULT && seen_address == 0x10000 - 8);
}

static volatile uint32_t notified;

static void note(uint32_t kind, struct capos_thread_state *state)
{
	__atomic_store_n(&notified, kind + (state->value == 99 ? 1000 : 0), __ATOMIC_RELEASE);
}

static int64_t wait_for_notification(void *argument)
{
	if (capos_notification_set_handler(note) != 0)
		return 1;
	__atomic_store_n((uint32_t *)argument, 1, __ATOMIC_RELEASE);
	capos_unpark(argument, 1);
	while (__atomic_load_n(&notified, __ATOMIC_ACQUIRE) == 0)
		capos_thread_yield();
	return 0;
}

static void test_notify(void)
{
	static uint32_t ready;
	struct capos_thread *thread;
	int64_t result = -1;

	CHECK(capos_thread_start(&thread, wait_for_notification, &ready, NULL) == 0);
	while (__atomic_load_n(&ready, __ATOMIC_ACQUIRE) == 0)
		capos_park(&ready, 0, CAPOS_WAIT_FOREVER);
	CHECK(capos_thread_handle_notify(capos_thread_handle(thread), 40, 99) == 0);
	CHECK(capos_thread_join(thread, &result) == 0 && result == 0);
	CHECK(notified == 1040);
}

/* ---- call forms ---- */

static void test_forms(void)
{
	uint64_t a, b;
	struct capos_region_info x, y;
	char text[100], again[100];
	int64_t length;

	CHECK(capos_virtual_memory_map(
		      capos_caps.vm, 0, 8192, CAPOS_PROT_READ | CAPOS_PROT_WRITE, &a) == 0);
	CHECK(capos_virtual_memory_map_message(
		      capos_caps.vm, 0, 8192, CAPOS_PROT_READ | CAPOS_PROT_WRITE, &b) == 0);
	CHECK(a != b && a % CAPOS_PAGE_SIZE == 0 && b % CAPOS_PAGE_SIZE == 0);
	CHECK(capos_virtual_memory_query(capos_caps.vm, a, 0, &x, sizeof(x)) == sizeof(x));
	CHECK(capos_virtual_memory_query_message(capos_caps.vm, a, 0, &y, sizeof(y)) == sizeof(y));
	CHECK(memcmp(&x, &y, sizeof(x)) == 0 && x.start <= a &&
		x.prot == (CAPOS_PROT_READ | CAPOS_PROT_WRITE));
	CHECK(capos_virtual_memory_unmap(capos_caps.vm, a, 8192) == 0);
	CHECK(capos_virtual_memory_unmap_message(capos_caps.vm, b, 8192) == 0);
	CHECK(capos_virtual_memory_unmap(capos_caps.vm, a, 8192) == CAPOS_E(NOT_RESERVED));
	CHECK(capos_virtual_memory_unmap_message(capos_caps.vm, b, 8192) == CAPOS_E(NOT_RESERVED));
	CHECK(capos_virtual_memory_unmap(0x12340000, b, 8192) == CAPOS_TRANSPORT_E(INVOKE_FAILED));
	CHECK(capos_virtual_memory_unmap_message(0x12340000, b, 8192) ==
		CAPOS_TRANSPORT_E(INVOKE_FAILED));
	length = capos_system_info_release(capos_caps.system, text, sizeof(text));
	CHECK(length > 0 &&
		capos_system_info_release_message(capos_caps.system, again, sizeof(again)) ==
			length);
	CHECK(memcmp(text, again, (size_t)length) == 0);
	CHECK(strcmp(capos_error_name(CAPOS_E(NO_MEMORY)), "noMemory") == 0);
	CHECK(strcmp(capos_error_name(CAPOS_TRANSPORT_E(INVOKE_FAILED)), "invokeFailed") == 0);
}

static void test_handles(void)
{
	capos_cap_t a = 0, b = 0;
	uint64_t ns;

	CHECK(capos_thread_control_self(capos_caps.thread_control, &a) == 0 && a != 0);
	CHECK(capos_thread_control_self_message(capos_caps.thread_control, &b) == 0 && b != 0);
	CHECK(capos_thread_handle_cpu_time(a, &ns) == 0 && ns > 0);
	CHECK(capos_thread_handle_cpu_time_message(b, &ns) == 0 && ns > 0);
	CHECK(capos_release(a) == 0 && capos_release(b) == 0);
	CHECK(capos_release(a) == CAPOS_TRANSPORT_E(INVOKE_FAILED));
	CHECK(capos_thread_handle_cpu_time(b, &ns) == CAPOS_TRANSPORT_E(INVOKE_FAILED));
}

static void test_ring_batch(void)
{
	struct capos_completion completion;
	uint64_t ignored[6] = { 0 }, word;

	for (uint64_t i = 0; i < CAPOS_RING_SUBMISSIONS; i++)
		CHECK(capos_ring_push(
			&(struct capos_submission){ .opcode = CAPOS_OPCODE_NOP, .user_data = i }));
	CHECK(!capos_ring_push(&(struct capos_submission){ .opcode = CAPOS_OPCODE_NOP }));
	CHECK(capos_ring_compact(capos_caps.thread_control, CAPOS_THREAD_CONTROL_YIELD, ignored,
		      &word) == CAPOS_E(BUSY));
	CHECK(capos_ring_enter(CAPOS_RING_SUBMISSIONS, CAPOS_WAIT_FOREVER) ==
		CAPOS_RING_SUBMISSIONS);
	for (uint64_t i = 0; i < CAPOS_RING_SUBMISSIONS; i++)
		CHECK(capos_ring_pop(&completion) && completion.user_data == i &&
			completion.result == 0);
	CHECK(!capos_ring_pop(&completion));
}

static void test_random(void)
{
	static uint8_t a[100000], zero[16];

	CHECK(capos_random_fill(a, sizeof(a)) == 0);
	for (size_t i = 0; i + 16 <= sizeof(a); i += 9984)
		CHECK(memcmp(a + i, zero, 16) != 0 && (i == 0 || memcmp(a, a + i, 16) != 0));
}

static void test_streams_have_a_direction(void)
{
	char line[8];

	CHECK(fputs("x", stdin) == EOF && ferror(stdin));
	clearerr(stdin);
	CHECK(fprintf(stdin, "%d", 1) < 0 && ferror(stdin));
	clearerr(stdin);
	CHECK(fgetc(stdout) == EOF && ferror(stdout));
	clearerr(stdout);
	CHECK(fgets(line, sizeof(line), stderr) == NULL && ferror(stderr));
	clearerr(stderr);
	printf("not a verdict, and not to be read:");
	CHECK(fread(line, 1, 1, stdout) == 0 && ferror(stdout));
	clearerr(stdout);
	CHECK(puts("") == 0 && !ferror(stdout));
}

static void run(const char *name, void (*test)(void))
{
	why[0] = '\0';
	test();
	if (why[0] != '\0') {
		failures++;
		printf("FAIL %s: %s\n", name, why);
	} else {
		printf("ok %s\n", name);
	}
}

int main(void)
{
	run("start-up", test_start);
	run("thread-local storage", test_tls_of_threads);
	run("thread result", test_thread_result);
	run("thread that ends in a handler", test_end_in_handler);
	run("edges", test_edges);
	run("streams have a direction", test_streams_have_a_direction);
	run("mutex", test_mutex);
	run("condition variable", test_cond);
	run("condition variable with a deadline", test_cond_timeout);
	run("detached threads", test_detach);
	run("thread stack", test_stack);
	run("time", test_time);
	run("heap and threads", test_heap);
	run("fault handler", test_fault);
	run("notify", test_notify);
	run("register and message form", test_forms);
	run("returned capabilities", test_handles);
	run("ring batch", test_ring_batch);
	run("random", test_random);
	return failures != 0;
}

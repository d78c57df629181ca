/* The program for the tests of --trace, --stats and the gdb helpers. "calls" makes calls with known
 * arguments and results. "threads" has a thread in each state and a region of each kind when it
 * reaches all_there. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <capos/capos.h>

#define REGION_BYTES 0x10000u
#define HINT 0x5000000000u
#define NO_CAP 0xffff0fffu
#define NO_METHOD 1000u

static volatile uint32_t word = 7;

static int wrong(const char *what, int64_t status)
{
	fprintf(stderr, "observed: %s answers %ld\n", what, (long)status);
	return 1;
}

static int endpoint_calls(void)
{
	capos_cap_t endpoint, facet;
	struct capos_message message = { 0 };
	uint64_t tag = 0;
	int64_t status;

	if ((status = capos_endpoint_factory_create(capos_caps.endpoint_factory, 1, &endpoint)) < 0)
		return wrong("create", status);
	if ((status = capos_endpoint_make_facet(endpoint, 7, &facet)) < 0)
		return wrong("makeFacet", status);
	if ((status = capos_endpoint_call(facet, &message, 0)) >= 0)
		return wrong("a call that no thread receives", status);
	if ((status = capos_endpoint_reply(&message, 0)) >= 0)
		return wrong("an answer to no call", status);
	if ((status = capos_release(facet)) < 0)
		return wrong("release", status);
	if ((status = capos_endpoint_receive(endpoint, &message, &tag, 0)) !=
			CAPOS_RECEIVE_RESULT_FACET_GONE ||
		tag != 7)
		return wrong("receive", status);
	return 0;
}

/* In the order of the lines that suite/observe.go expects. */
static int calls(void)
{
	capos_cap_t vm = capos_caps.vm, park = capos_caps.park, object = 0;
	uint64_t address = 0;
	int64_t status;

	if ((status = capos_virtual_memory_reserve(vm, HINT, REGION_BYTES, &address)) < 0)
		return wrong("reserve", status);
	if ((status = capos_virtual_memory_commit(
		     vm, address, REGION_BYTES, CAPOS_PROT_READ | CAPOS_PROT_WRITE)) < 0)
		return wrong("commit", status);
	if ((status = capos_virtual_memory_unmap(vm, address, REGION_BYTES)) < 0)
		return wrong("unmap", status);
	if ((status = capos_virtual_memory_unmap(vm, address + 1, REGION_BYTES)) >= 0)
		return wrong("unmap of a crooked address", status);
	if ((status = capos_memory_allocator_create(
		     capos_caps.memory_allocator, 2 * REGION_BYTES, &object)) < 0)
		return wrong("create", status);
	if ((status = capos_release(object)) < 0)
		return wrong("release", status);
	if ((status = capos_park_in(park, &word, 8, CAPOS_WAIT_FOREVER)) !=
		CAPOS_PARK_RESULT_MISMATCH)
		return wrong("park", status);
	if ((status = capos_unpark_in(park, &word, 3)) != 0)
		return wrong("unpark", status);
	if ((status = capos_call(vm, NO_METHOD, 0, 0, 0, 0, 0)) >= 0)
		return wrong("a method that is not there", status);
	if ((status = capos_call(NO_CAP, 0, 0, 0, 0, 0, 0)) >= 0)
		return wrong("a capability that is not there", status);
	if (endpoint_calls() != 0)
		return 1;
	for (int i = 0; i < 3; i++)
		if ((status = capos_timer_sleep(capos_caps.timer, 1000)) < 0)
			return wrong("sleep", status);
	puts("made");
	return 0;
}

static int64_t sleeper(void *argument)
{
	(void)argument;
	return capos_sleep_ns(3600ull * 1000000000);
}

static int64_t spinner(void *argument)
{
	(void)argument;
	for (volatile uint64_t i = 0;; i++)
		;
}

__attribute__((noinline)) static void all_there(void)
{
	__asm__ volatile("" : : : "memory");
}

static int threads(void)
{
	struct capos_thread *thread;
	capos_cap_t endpoint, facet;
	uint64_t address;
	int64_t status;

	if ((status = capos_endpoint_factory_create(capos_caps.endpoint_factory, 3, &endpoint)) < 0)
		return wrong("create", status);
	if ((status = capos_endpoint_make_facet(endpoint, 9, &facet)) < 0)
		return wrong("makeFacet", status);
	if ((status = capos_thread_start(&thread, sleeper, NULL,
		     &(struct capos_thread_options){ .name = "sleeper" })) < 0)
		return wrong("start", status);
	if ((status = capos_thread_start(&thread, spinner, NULL,
		     &(struct capos_thread_options){ .name = "spinner" })) < 0)
		return wrong("start", status);
	if ((status = capos_virtual_memory_reserve(capos_caps.vm, HINT, REGION_BYTES, &address)) <
			0 ||
		address != HINT)
		return wrong("reserve", status);
	if ((status = capos_virtual_memory_commit(
		     capos_caps.vm, HINT, REGION_BYTES / 2, CAPOS_PROT_READ)) < 0)
		return wrong("commit", status);
	/* On one CPU both other threads have run when this one runs again. */
	capos_sleep_ns(50 * 1000000);
	all_there();
	puts("gone on");
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "calls"))
		return calls();
	if (argc > 1 && !strcmp(argv[1], "threads"))
		return threads();
	fprintf(stderr, "observed: which mode?\n");
	return 2;
}

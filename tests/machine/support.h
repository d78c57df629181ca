/* What the machine tests share: short names for memory calls, a random generator with a printed
 * seed, catching the faults of one access. */
#ifndef CAPOS_MACHINE_SUPPORT_H
#define CAPOS_MACHINE_SUPPORT_H

#include <capos/capos.h>
#include <stdlib.h>

#include "check.h"

#define PAGE ((uint64_t)CAPOS_PAGE_SIZE)
#define LARGE ((uint64_t)CAPOS_LARGE_PAGE_SIZE)
#define READ CAPOS_PROT_READ
#define WRITE (CAPOS_PROT_READ | CAPOS_PROT_WRITE)
#define EXEC (CAPOS_PROT_READ | CAPOS_PROT_EXEC)
#define DEMAND_ZERO CAPOS_COMMIT_DEMAND_ZERO
#define KERNEL_HALF 0xffff800000000000ull
#define NON_CANONICAL 0x800000000000ull
#define MS_NS 1000000ull

#define OK(call) CHECK_EQUAL(call, 0)

/* ---- memory ---- */

__attribute__((unused)) static uint64_t vm_map(uint64_t size, uint32_t prot)
{
	uint64_t address = 0;
	OK(capos_virtual_memory_map(capos_caps.vm, 0, size, prot, &address));
	return address;
}

__attribute__((unused)) static uint64_t vm_reserve(uint64_t size)
{
	uint64_t address = 0;
	OK(capos_virtual_memory_reserve(capos_caps.vm, 0, size, &address));
	return address;
}

__attribute__((unused)) static int64_t vm_commit(uint64_t address, uint64_t size, uint32_t prot)
{
	return capos_virtual_memory_commit(capos_caps.vm, address, size, prot);
}

__attribute__((unused)) static int64_t vm_decommit(uint64_t address, uint64_t size)
{
	return capos_virtual_memory_decommit(capos_caps.vm, address, size);
}

__attribute__((unused)) static int64_t vm_protect(uint64_t address, uint64_t size, uint32_t prot)
{
	return capos_virtual_memory_protect(capos_caps.vm, address, size, prot);
}

__attribute__((unused)) static int64_t vm_unmap(uint64_t address, uint64_t size)
{
	return capos_virtual_memory_unmap(capos_caps.vm, address, size);
}

__attribute__((unused)) static struct capos_memory_usage vm_usage(void)
{
	struct capos_memory_usage usage = { 0 };
	CHECK_EQUAL(capos_virtual_memory_usage(capos_caps.vm, &usage, sizeof usage), sizeof usage);
	return usage;
}

/* The same, with committed_pages less what the kernel keeps: that is counted in whole frames, which
 * several things share, so a test that is about others does not know it. */
__attribute__((unused)) static struct capos_memory_usage program_usage(void)
{
	struct capos_memory_usage usage = vm_usage();
	usage.committed_pages -= usage.kernel_pages;
	return usage;
}

/* What the program is charged and has reserved is what it was. */
#define CHECK_USAGE_IS(before)                                                          \
	do {                                                                            \
		CHECK_EQUAL(program_usage().committed_pages, (before).committed_pages); \
		CHECK_EQUAL(program_usage().reserved_pages, (before).reserved_pages);   \
	} while (0)

__attribute__((unused)) static struct capos_region_info vm_query(uint64_t address)
{
	struct capos_region_info info = { 0 };
	CHECK_EQUAL(capos_virtual_memory_query(capos_caps.vm, address, 0, &info, sizeof info),
		sizeof info);
	return info;
}

/* Whether a nanosecond is an instruction, as in an emulator that counts them. Only there a cost can
 * be compared with a number. */
__attribute__((unused)) static bool time_is_exact(void)
{
	uint64_t rounds = 100000, start = capos_now_ns();
	__asm__ volatile("1:\tdecq %0\n\tjnz 1b" : "+r"(rounds) : : "cc");
	uint64_t took = capos_now_ns() - start;
	return took > 199000 && took < 203000;
}

/* ---- random numbers: xorshift64*, with a seed that repeats a failing run ---- */

__attribute__((unused)) static uint64_t random_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dull;
}

/* The seed: the first argument, or fresh. */
__attribute__((unused)) static uint64_t random_seed(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 0;
	if (!seed && capos_random_fill(&seed, sizeof seed) < 0)
		seed = (uint64_t)capos_wall_ns();
	seed |= 1;
	printf("seed %#llx\n", (unsigned long long)seed);
	return seed;
}

/* ---- trying an access: the handler records the fault and continues after the instruction ---- */

static _Thread_local volatile struct {
	uint32_t kind, code;
	uint64_t address, rip;
} fault;

static void record_fault(uint32_t kind, struct capos_thread_state *state);

/* Each access is one instruction at a known place, followed by the label at which a fault
 * continues. */
#define TRY_ACCESS(instruction, operands...)                              \
	__asm__ volatile("leaq 2f(%%rip), %%r11\n1:\t" instruction "\n2:" \
		:                                                         \
		: operands                                                \
		: "r11", "rax", "memory", "cc")

__attribute__((unused)) static void record_fault(uint32_t kind, struct capos_thread_state *state)
{
	fault.kind = kind;
	fault.code = state->code;
	fault.address = state->address;
	fault.rip = state->rip;
	state->rip = state->r11;
}

/* The kind of fault that reading, writing or executing at the address raises; 0: none. record_fault
 * must be the handler. */
__attribute__((unused)) static uint32_t try_read(uint64_t address)
{
	fault.kind = 0;
	TRY_ACCESS("movb (%0), %%al", "D"(address));
	return fault.kind;
}

__attribute__((unused)) static uint32_t try_write(uint64_t address)
{
	fault.kind = 0;
	TRY_ACCESS("lock addb $0, (%0)", "D"(address));
	return fault.kind;
}

/* The code there must return. A fault in it continues after the call, with the stack as before. */
__attribute__((unused)) static uint32_t try_call(uint64_t address)
{
	fault.kind = 0;
	__asm__ volatile("leaq 1f(%%rip), %%r11\n\tmovq %%rsp, %%rbx\n\t"
			 "subq $136, %%rsp\n\tandq $-16, %%rsp\n\tcall *%0\n1:\tmovq %%rbx, %%rsp"
		:
		: "D"(address)
		: "r11", "rax", "rbx", "rcx", "rdx", "rsi", "memory", "cc");
	return fault.kind;
}

/* Commits all memory that is left, in a new range of the size; the pages stay untouched. */
__attribute__((unused)) static uint64_t commit_all(uint64_t size)
{
	uint64_t range = vm_reserve(size), end = range;
	for (uint64_t step = LARGE; step >= PAGE;)
		if (vm_commit(end, step, WRITE) == 0)
			end += step;
		else
			step /= 2;
	return range;
}

/* ---- events ---- */

__attribute__((unused)) static capos_cap_t event_create(void)
{
	capos_cap_t event = 0;
	OK(capos_event_factory_create(capos_caps.event_factory, &event));
	return event;
}

/* 0: none of these bits came before the deadline. */
__attribute__((unused)) static uint64_t event_take(
	capos_cap_t event, uint64_t mask, uint64_t deadline_ns)
{
	uint64_t bits = 0;
	int64_t status = capos_event_wait(event, mask, deadline_ns, &bits);
	CHECK(status == 0 || status == CAPOS_E(TIMED_OUT));
	return status == 0 ? bits : 0;
}

#endif

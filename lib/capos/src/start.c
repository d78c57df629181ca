/* Start-up: from the kernel's registers to main, and from main's result to the exit call. */
#include <stdlib.h>
#include <string.h>

#include <capos/caps.h>
#include <capos/stubs.h>

#include "internal.h"

struct capos_caps capos_caps;
char **environ;
_Thread_local struct capos_ring_header *thread_ring;
uint64_t first_stack_top;

static const struct capos_cap_set_header *cap_set;
static const uint64_t *auxiliary;

extern int main(int argc, char **argv, char **envp);

/* Constructors, gathered by the linker script. */
extern void (*const __init_array_start[])(int, char **, char **);
extern void (*const __init_array_end[])(int, char **, char **);

const struct capos_cap_set_header *capos_cap_set(void)
{
	return cap_set;
}

const struct capos_cap_set_entry *capos_cap_entries(void)
{
	return (const struct capos_cap_set_entry *)(cap_set + 1);
}

const struct capos_cap_set_entry *capos_cap_entry(const char *name)
{
	const struct capos_cap_set_entry *entries = capos_cap_entries();

	for (uint32_t i = 0; i < cap_set->count; i++) {
		if (strncmp((const char *)entries[i].name, name, sizeof(entries[i].name)) == 0)
			return &entries[i];
	}
	return NULL;
}

capos_cap_t grant_cap(const char *name)
{
	const struct capos_cap_set_entry *entry = capos_cap_entry(name);

	return entry != NULL ? entry->cap : 0;
}

capos_cap_t capos_cap(const char *name)
{
	capos_cap_t cap = grant_cap(name);

	if (cap == 0)
		grant_not_found(name);
	return cap;
}

uint64_t capos_auxiliary(uint64_t type)
{
	for (const uint64_t *pair = auxiliary; pair[0] != 0; pair += 2) {
		if (pair[0] == type)
			return pair[1];
	}
	return 0;
}

/* The place where code compiled with -fstack-protector finds the value that it puts on the stack.
 * Gcc reads it at offset 0x28 from FS, in the thread control block. Clang reads a variable, because
 * it has no such rule for this target. */
#define STACK_GUARD_OFFSET 0x28
#define AUXILIARY_RANDOM 25 /* System V ABI, AMD64 supplement: AT_RANDOM */

uint64_t __stack_chk_guard;

void capos_set_stack_guard(uint64_t thread_pointer, uint64_t guard)
{
	*(uint64_t *)(thread_pointer + STACK_GUARD_OFFSET) = guard;
}

__attribute__((noreturn)) void __stack_chk_fail(void)
{
	static const char message[] = "libcapos: the stack is overwritten\n";
	capos_report(message, sizeof(message) - 1);
	abort();
}

/* The kernel's random bytes, but for the lowest: a string that overflows ends before it. */
static void choose_stack_guard(void)
{
	const uint64_t *random = (const uint64_t *)capos_auxiliary(AUXILIARY_RANDOM);
	uint64_t thread_pointer;
	__asm__("movq %%fs:0, %0" : "=r"(thread_pointer));
	if (random != NULL)
		__stack_chk_guard = *random & ~(uint64_t)0xff;
	capos_set_stack_guard(thread_pointer, __stack_chk_guard);
}

/* Called by crt0.S. stack points to argc; argv, envp and the auxiliary vector follow, each ended by
 * a zero. */
__attribute__((noreturn)) void capos_start(struct capos_ring_header *ring, uint64_t process_id,
	const struct capos_cap_set_header *set, uint64_t *stack)
{
	int argc = (int)stack[0];
	char **argv = (char **)(stack + 1);
	char **end;

	(void)process_id; /* the CapSet header has it too */
	thread_ring = ring;
	first_stack_top = (uint64_t)stack;
	cap_set = set;
	environ = argv + argc + 1;
	for (end = environ; *end != NULL; end++)
		;
	auxiliary = (const uint64_t *)(end + 1);
	choose_stack_guard();
	caps_find(&capos_caps);
	for (void (*const *init)(int, char **, char **) = __init_array_start;
		init != __init_array_end; init++)
		(*init)(argc, argv, environ);
	exit(main(argc, argv, environ));
}

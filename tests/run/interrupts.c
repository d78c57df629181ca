/* The program for the test of how often other CPUs are interrupted for a process's pages. "end"
 * ends with a thousand threads that park, each of which has used its ring page. "idle" takes a page
 * away a thousand times while the other CPU, which has run a thread of the process, has nothing to
 * do. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <capos/capos.h>

#define TIMES 1000

uint32_t never, running;
uint32_t park_space;

/* RDI: the word to park on. RDX: the ring. */
void use_ring_and_park(void);
__asm__(".text\n"
	"use_ring_and_park:\n\t"
	"movq %rdi, %rbx\n\tmovl (%rdx), %eax\n\tlock incl running(%rip)\n"
	"1:\tmovl park_space(%rip), %edi\n\tmovq %rbx, %rsi\n\txorl %edx, %edx\n\t"
	"movq $-1, %r10\n\tmovl $0x601, %eax\n\tsyscall\n\tjmp 1b\n");

static bool start_thread(void)
{
	capos_cap_t handle;

	park_space = capos_caps.park;
	return capos_thread_spawner_spawn(capos_caps.thread_spawner, (uint64_t)use_ring_and_park, 0,
		       (uint64_t)&never, 0, 0, "", &handle) >= 0;
}

static int start_and_end(void)
{
	for (unsigned i = 0; i < TIMES; i++)
		if (!start_thread())
			return 1;
	while (__atomic_load_n(&running, __ATOMIC_SEQ_CST) != TIMES)
		capos_sleep_ns(1000000);
	return 0;
}

static int take_away(void)
{
	if (!start_thread())
		return 1;
	while (!__atomic_load_n(&running, __ATOMIC_SEQ_CST))
		; /* on this CPU */
	for (unsigned i = 0; i < TIMES; i++) {
		uint64_t address;
		if (capos_virtual_memory_map(capos_caps.vm, 0, CAPOS_PAGE_SIZE,
			    CAPOS_PROT_READ | CAPOS_PROT_WRITE, &address) < 0)
			return 1;
		*(volatile uint8_t *)address = 1;
		if (capos_virtual_memory_unmap(capos_caps.vm, address, CAPOS_PAGE_SIZE) < 0)
			return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	return argc > 1 && !strcmp(argv[1], "end") ? start_and_end() : take_away();
}

/* Threads of a few instructions that use neither stack nor TLS. Their behaviour depends on the
 * kernel alone, and thousands of them need no memory of the program. */
#ifndef CAPOS_MACHINE_RAW_THREAD_H
#define CAPOS_MACHINE_RAW_THREAD_H

#include "support.h"

struct entry_registers {
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15;
};

uint32_t raw_park_space; /* the ParkSpace, for raw_park */

void raw_exit(void);   /* ends with the argument as its code */
void raw_park(void);   /* parks while *(uint32_t *)argument is 0, then ends with code 0 */
void raw_spin(void);   /* spins while *(uint64_t *)argument is 0, then ends with code 0: with no
                          pause, which ends a CPU's turn where CPUs have turns */
void raw_record(void); /* stores its registers in *(struct entry_registers *)argument and ends with
                          code 77 */

/* Makes the calls of an array, the argument, that ends with an operation of 0; then ends. */
void raw_calls(void);

/* A register call, in the order of the registers. */
struct raw_call {
	uint64_t operation, target, words[5];
};

#define RAW_OPERATION(opcode) (CAPOS_SYS_CAP_ENTER | CAPOS_OPCODE_##opcode << 8)
#define RAW_METHOD(cap, method) ((uint64_t)(method) << 32 | (cap))

/* exit (system call 0): RDI code, RSI 0 for the thread. cap_enter is 1; opcode park is 6 in bits 8
 * to 15. */
__asm__(".text\n"
	".globl raw_exit, raw_park, raw_spin, raw_record\n"
	"raw_exit:\n\t"
	"xorl %esi, %esi\n\txorl %eax, %eax\n\tsyscall\n\tud2\n"
	"raw_park:\n\t"
	"movq %rdi, %rbx\n"
	"1:\tmovl raw_park_space(%rip), %edi\n\tmovq %rbx, %rsi\n\txorl %edx, %edx\n\t"
	"movq $-1, %r10\n\tmovl $0x601, %eax\n\tsyscall\n\t"
	"cmpl $0, (%rbx)\n\tje 1b\n\txorl %edi, %edi\n\tjmp raw_exit\n"
	"raw_spin:\n\t"
	"cmpq $0, (%rdi)\n\tje raw_spin\n\txorl %edi, %edi\n\tjmp raw_exit\n"
	".globl raw_calls\n"
	"raw_calls:\n\t"
	"movq %rdi, %rbx\n"
	"1:\tmovq (%rbx), %rax\n\ttestq %rax, %rax\n\tjz 2f\n\t"
	"movq 8(%rbx), %rdi\n\tmovq 16(%rbx), %rsi\n\tmovq 24(%rbx), %rdx\n\t"
	"movq 32(%rbx), %r10\n\tmovq 40(%rbx), %r8\n\tmovq 48(%rbx), %r9\n\t"
	"addq $56, %rbx\n\tsyscall\n\tjmp 1b\n"
	"2:\txorl %edi, %edi\n\tjmp raw_exit\n"
	"raw_record:\n\t"
	"movq %rax, (%rdi)\n\tmovq %rbx, 8(%rdi)\n\tmovq %rcx, 16(%rdi)\n\t"
	"movq %rdx, 24(%rdi)\n\tmovq %rsi, 32(%rdi)\n\t"
	"movq %rdi, 40(%rdi)\n\tmovq %rbp, 48(%rdi)\n\tmovq %rsp, 56(%rdi)\n\t"
	"movq %r8, 64(%rdi)\n\tmovq %r9, 72(%rdi)\n\t"
	"movq %r10, 80(%rdi)\n\tmovq %r11, 88(%rdi)\n\tmovq %r12, 96(%rdi)\n\t"
	"movq %r13, 104(%rdi)\n\tmovq %r14, 112(%rdi)\n\t"
	"movq %r15, 120(%rdi)\n\tmovl $77, %edi\n\tjmp raw_exit\n");

__attribute__((unused)) static capos_cap_t raw_spawn(
	void (*entry)(void), uint64_t argument, uint64_t stack)
{
	capos_cap_t handle = 0;
	raw_park_space = capos_caps.park;
	OK(capos_thread_spawner_spawn(
		capos_caps.thread_spawner, (uint64_t)entry, stack, argument, 0, 0, "raw", &handle));
	return handle;
}

/* The exit code; the handle is released. */
__attribute__((unused)) static int64_t raw_join(capos_cap_t handle)
{
	int64_t code = INT64_MIN;
	OK(capos_thread_handle_join(handle, 20000 * MS_NS, &code));
	OK(capos_release(handle));
	return code;
}

/* A new thread begins late where the CPU has other work. */
__attribute__((unused)) static void raw_wait_blocked(
	capos_cap_t handle, struct capos_thread_info *info)
{
	for (int i = 0; i < 10000; i++) {
		CHECK_EQUAL(capos_thread_handle_info(handle, info, sizeof *info), sizeof *info);
		if (info->state == CAPOS_THREAD_STATE_KIND_BLOCKED)
			return;
		capos_sleep_ns(MS_NS / 10);
	}
	CHECK(!"the thread never waited");
}

/* Ends the waits of raw_park threads on the word, those that have not begun to wait included. */
__attribute__((unused)) static void raw_wake(uint32_t *word)
{
	__atomic_store_n(word, 1, __ATOMIC_SEQ_CST);
	CHECK(capos_unpark(word, ~0ull) >= 0);
}

__attribute__((unused)) static uint32_t thread_count(void)
{
	struct capos_process_info info = { 0 };
	CHECK_EQUAL(capos_system_info_process(capos_caps.system, &info, sizeof info), sizeof info);
	return info.threads;
}

__attribute__((unused)) static void wait_for_threads(uint32_t count)
{
	uint64_t start = capos_now_ns();
	while (thread_count() != count && capos_now_ns() - start < 20000 * MS_NS)
		capos_sleep_ns(MS_NS);
	CHECK_EQUAL(thread_count(), count);
}

/* As many threads as a process may have, on those CPUs, and not one more. */
__attribute__((unused)) static void raw_threads_are_limited(uint64_t cpus)
{
	uint32_t word = 0, count = 1;
	capos_cap_t handle = 0, spawner = capos_caps.thread_spawner;
	uint64_t entry = (uint64_t)raw_park, argument = (uint64_t)&word;
	int64_t status;
	raw_park_space = capos_caps.park;
	while ((status = capos_thread_spawner_spawn(
			spawner, entry, 0, argument, 0, 0, "", &handle)) == 0) {
		OK(capos_thread_handle_set_affinity(handle, cpus));
		OK(capos_release(handle));
		count++;
	}
	CHECK_EQUAL(status, CAPOS_E(LIMIT_REACHED));
	CHECK_FAILS(THREAD_SPAWNER_SPAWN, LIMIT_REACHED,
		capos_thread_spawner_spawn_message(spawner, entry, 0, argument, 0, 0, "", &handle));
	CHECK_EQUAL(count, CAPOS_THREADS_MAX);
	CHECK_EQUAL(thread_count(), CAPOS_THREADS_MAX);
	raw_wake(&word);
	uint64_t start = capos_now_ns();
	while (thread_count() != 1 && capos_now_ns() - start < 40000 * MS_NS)
		capos_sleep_ns(MS_NS);
	CHECK_EQUAL(thread_count(), 1);
}

/* Whether the thread has been interrupted since it last asked. A null selector other than 0 in ES
 * is 0 after the way back from the kernel by IRET: Intel SDM volume 2, IRET, return to an outer
 * privilege level. */
__attribute__((unused)) static bool was_interrupted(void)
{
	uint16_t selector;
	__asm__ volatile("movw %%es, %0\n\tmovw %1, %%es" : "=&r"(selector) : "r"((uint16_t)1));
	return selector == 0;
}

/* Within the kernel's bound: a CPU is interrupted for threads of other processes once in QUIET_NS,
 * at whose end there may be another interrupt, and slices end. */
#define QUIET_NS (MS_NS / 10)
__attribute__((unused)) static bool are_few_interrupts(uint64_t count, uint64_t time_ns)
{
	return count <= 2 * time_ns / QUIET_NS + time_ns / MS_NS + 3;
}

#endif

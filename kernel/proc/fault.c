/* Fault reports. The kernel sends numbers; the host, which has the program's symbols, makes the
 * words. */
#include "proc/fault.h"

#include "arch/x86_64/cpu.h"
#include "arch/x86_64/trap_frame.h"
#include "core/log.h"
#include "dev/channel.h"
#include "mm/kmem.h"
#include "mm/user.h"
#include "proc/process.h"
#include "sched/thread.h"

#define STACK_WORDS_MAX 64u

/* As many words at the address as can be read. */
static uint32_t read_stack(uint64_t address, uint64_t *words)
{
	uint32_t count = 0;
	while (count < STACK_WORDS_MAX &&
		copy_from_user(&words[count], address + count * sizeof *words, sizeof *words) ==
			STATUS_OK)
		count++;
	return count;
}

void fault_report(struct thread *thread, const struct trap_frame *frame, uint32_t kind,
	uint32_t code, uint64_t address)
{
	struct capos_fault_record report = {
		.kind = kind,
		.code = code,
		.address = address,
		.rip = frame->rip,
		.rsp = frame->rsp,
		.rbp = frame->rbp,
		.thread_id = thread->id,
		.cpu = cpu_id(),
		.program = thread->process->program,
		.error_code = frame->error,
	};
	uint64_t *words = kmem_alloc(STACK_WORDS_MAX *
		sizeof *words); /* without memory the report does without the stack */
	uint32_t count = words ? read_stack(frame->rsp, words) : 0;
	channel_send(
		CAPOS_HOST_MESSAGE_FAULT, &report, sizeof report, words, count * sizeof *words);
	kmem_free(words);
	log_printf("capos: process %lu %s: fault kind %u code %u address %lx rip %lx rsp %lx",
		thread->process->id, thread->process->name, kind, code, address, frame->rip,
		frame->rsp);
}

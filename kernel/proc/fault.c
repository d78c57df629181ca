/* Fault reports. The kernel sends numbers. The host, which has the program's symbols, makes the
 * text. */
#include "proc/fault.h"

#include "arch/address.h"
#include "arch/trap_frame.h"
#include "arch/user_state.h"
#include "core/log.h"
#include "core/percpu.h"
#include "core/string.h"
#include "dev/channel.h"
#include "mm/kmem.h"
#include "mm/ledger.h"
#include "mm/user.h"
#include "proc/process.h"
#include "sched/thread.h"

#define STACK_WORDS_MAX 64u
#define FRAMES_MAX 32u
#define GUARD_PAGES 17u /* a guard is 64 KiB below a stack, whose end may lie within a page */

static bool read_word(uint64_t address, uint64_t *word)
{
	return copy_from_user(word, user_ptr(address), sizeof *word) == STATUS_OK;
}

/* Reads as many words from *address on as can be read. After a stack overflow *address lies in
 * the guard, so the pages above it are tried. */
static uint32_t read_stack(uint64_t *address, uint64_t *words)
{
	uint32_t count = 0;
	for (uint32_t page = 0; page < GUARD_PAGES && !read_word(*address, words); page++)
		*address = (*address | (PAGE_SIZE - 1)) + 1;
	while (count < STACK_WORDS_MAX &&
		read_word(*address + count * sizeof *words, &words[count]))
		count++;
	return count;
}

/* Return addresses along the frame pointers, as long as these lead upwards, because they may have
 * any value. */
static uint32_t read_frames(const struct trap_frame *frame, uint64_t *words)
{
	uint32_t count = 0;
	uint64_t pointer = trap_frame_base(frame), next;
	while (count < FRAMES_MAX && read_word(pointer, &next) &&
		read_word(pointer + sizeof next, &words[count])) {
		count++;
		if (next <= pointer)
			break;
		pointer = next;
	}
	return count;
}

/* For who holds the process's handle. It is charged to the process; at its limit there is none. */
static struct capos_crash_record *make_crash(struct thread *thread, const struct trap_frame *frame,
	const struct capos_fault_record *report, const uint64_t *frames)
{
	struct ledger *payer = ledger_of_records(thread->process->ledger);
	struct capos_crash_record *crash = kmem_alloc(payer, sizeof *crash);
	struct capos_thread_state state;
	uint32_t count = report->frame_count;
	if (!crash)
		return NULL;
	memset(&state, 0, sizeof state);
	user_state_store(&state, frame, thread_pointer_read());
	user_state_store_trap(&state, frame);
	state.kind = report->kind;
	state.code = report->code;
	state.address = report->address;
	state.mask = thread->notify_mask;
	crash->process_id = thread->process->id;
	crash->thread_id = thread->id;
	memcpy(crash->thread_name, thread->name, sizeof crash->thread_name);
	memcpy(crash->state, &state, sizeof crash->state);
	crash->frame_count = count < CAPOS_CRASH_FRAMES_MAX ? count : CAPOS_CRASH_FRAMES_MAX;
	if (frames)
		memcpy(crash->frames, frames, crash->frame_count * sizeof *frames);
	return crash;
}

struct capos_crash_record *fault_report(struct thread *thread, const struct trap_frame *frame,
	uint32_t kind, uint32_t code, uint64_t address)
{
	struct capos_fault_record report = {
		.kind = kind,
		.code = code,
		.address = address,
		.thread_id = thread->id,
		.cpu = cpu_id(),
		.program = thread->process->program,
		.stack_address = trap_frame_stack(frame),
		.process_id = thread->process->id,
		.image_offset = thread->process->image_offset,
	};
	text_copy((char *)report.name, thread->process->name, sizeof report.name);
	fault_record_store(&report, frame);
	/* Without memory the report has no stack. The block is smaller than what the thread's
	 * charge rounds up, so a process at its limit is reported like others. */
	uint64_t *words = kmem_alloc(PREPAID, (FRAMES_MAX + STACK_WORDS_MAX) * sizeof *words);
	uint32_t count = 0;
	if (words) {
		report.frame_count = read_frames(frame, words);
		count = report.frame_count;
		count += read_stack(&report.stack_address, words + count);
	}
	struct capos_crash_record *crash = make_crash(thread, frame, &report, words);
	fault_tell_calls(thread);
	status_t status = channel_send(
		CAPOS_HOST_MESSAGE_FAULT, &report, sizeof report, words, count * sizeof *words);
	(void)status; /* not sent: the thread had to end for another reason meanwhile */
	kmem_free(PREPAID, words);
	log_printf("capos: process %lu %s: fault kind %u code %u address %lx place %lx stack %lx",
		thread->process->id, thread->process->name, kind, code, address,
		trap_frame_instruction(frame), trap_frame_stack(frame));
	return crash;
}

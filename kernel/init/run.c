/* The life of the machine after boot: program after program, or several at a time, then off.
 *
 * Around each of them the free frames and live objects are counted. Both counts are equal when the
 * kernel has got everything back. The host compares them in the ExitRecord. */
#include "init/run.h"

#include "arch/cpu.h"
#include "call/trace.h"
#include "core/log.h"
#include "core/string.h"
#include "dev/channel.h"
#include "dev/command_line.h"
#include "dev/terminal.h"
#include "init/look.h"
#include "machine/machine.h"
#include "mm/frame.h"
#include "mm/kmem.h"
#include "mm/ledger.h"
#include "object/boot_image.h"
#include "object/process_load.h"
#include "proc/boot_image.h"
#include "proc/process.h"
#include "proc/thread.h"
#include "machine/clock.h"
#include "sched/explore.h"
#include "sched/thread.h"
#include "sched/wait.h"

/* At least what the kernel keeps for a program without a charge. */
#define RECORD_FRAMES 16u

#define SETTLE_NS 100000000u
#define SETTLE_STEP_NS 100000u

static struct boot_image image;
static uint64_t linger_s;

_Noreturn void power_off(void)
{
	terminal_linger(linger_s);
	channel_drain();
	machine_power_off();
	log_printf("capos: done; the machine can be switched off");
	cpu_stop();
}

/* Counts free frames and live objects, with nothing cached. */
static void count_resources(uint64_t *frames, uint64_t *objects)
{
	kmem_trim(KERNEL_PAYS);
	*frames = frames_free();
	*objects = object_count();
}

/* The thread that takes a process apart announces the end of its last thread a moment before it is
 * done. This waits for that moment; a real leak does not go away. */
static void count_resources_after(struct capos_exit_record *record)
{
	uint64_t until_ns = clock_now_ns() + SETTLE_NS;
	for (;;) {
		count_resources(&record->frames_after, &record->objects_after);
		if ((record->frames_after == record->frames_before &&
			    record->objects_after == record->objects_before) ||
			clock_now_ns() >= until_ns)
			return;
		status_t status = thread_sleep_until(clock_now_ns() + SETTLE_STEP_NS, false);
		(void)status;
	}
}

/* A program of the boot image that is being run. */
struct run {
	struct capos_exit_record record;
	struct process *process; /* NULL: not started */
};

static void report_not_started(
	struct capos_exit_record *record, status_t status, const char *reason)
{
	record->kind = CAPOS_EXIT_KIND_NOT_STARTED;
	record->code = STATUS_IS_ERROR(status) ? (int32_t)STATUS_ERROR_CODE(status) : 0;
	channel_printf(
		CAPOS_HOST_MESSAGE_LOG, "program %u not started: %s\n", record->program, reason);
	log_printf("capos: program %u not started: %s", record->program, reason);
}

/* The objects of which the bits are set. Returns how many. */
static uint32_t list_grants(uint64_t bits, struct grant *list)
{
	uint32_t count = 0;
	for (unsigned i = 0; i < CAPOS_GRANT_COUNT; i++)
		if (bits >> i & 1)
			list[count++] = grants[i];
	return count;
}

static status_t make_process(struct run *run, const struct boot_image_program *entry,
	struct thread **thread, const char **reason)
{
	struct grant list[CAPOS_GRANT_COUNT];
	const struct program program = {
		.elf = { entry->elf_size, elf_bytes_at, entry->elf },
		.mappable = true,
		.image_offset = (uint64_t)(entry->elf - image.bytes),
		.args = entry->args,
		.env = entry->env,
		.grants = list,
		.grant_count = list_grants(entry->grants, list),
	};
	*reason = "no memory for a process";
	status_t status = process_create(program_name(&entry->args), run->record.program,
		ledger_create(&entry->limits), NULL, &run->process);
	if (status != STATUS_OK)
		return status;
	status = process_load(run->process, &program, thread, reason);
	if (status != STATUS_OK) {
		process_discard(run->process);
		run->process = NULL;
	}
	return status;
}

#ifdef CAPOS_EXPLORE
/* A program whose environment says so is explored. */
static void begin_exploring(const struct boot_image_strings *env)
{
	static const char name[] = "CAPOS_EXPLORE_KERNEL=";
	const char *entry = env->bytes;
	for (uint32_t i = 0; i < env->count; i++, entry += strlen(entry) + 1)
		if (strlen(entry) >= sizeof name && memcmp(entry, name, sizeof name - 1) == 0)
			explore_begin(entry + sizeof name - 1);
}

/* The thread that waits for the program is woken as by a question of the host. */
void explore_stuck(void)
{
	look_wanted();
}
#else
static void begin_exploring(const struct boot_image_strings *env)
{
	(void)env;
}
#endif

static void start_program(struct run *run)
{
	struct boot_image_program entry;
	struct thread *thread;
	const char *reason;
	status_t status = boot_image_program(&image, run->record.program, &entry, &reason);
	if (status == STATUS_OK) {
		begin_exploring(&entry.env);
		status = make_process(run, &entry, &thread, &reason);
	}
	if (status != STATUS_OK) {
		report_not_started(&run->record, status, reason);
		return;
	}
	thread_start(thread);
	object_release(&thread->object);
}

static struct run runs[CAPOS_BOOT_TOGETHER_MAX];

/* Answers the host's question what the processes are doing. */
static void answer_look(void)
{
	__atomic_store_n(&look_asked, false, __ATOMIC_RELAXED);
	for (uint32_t i = 0; i < CAPOS_BOOT_TOGETHER_MAX; i++)
		if (runs[i].process)
			look_send(runs[i].process);
	look_send_end();
}

/* Console keys go to the program that is being waited for. */
static void await_program(struct run *run)
{
	struct process *process = run->process;
	if (!process)
		return;
	process_set_foreground(process);
	while (!process_wait_unless(process, &look_asked)) {
		if (explore_report(process))
			__atomic_store_n(&look_asked, false, __ATOMIC_RELAXED);
		else
			answer_look();
	}
	process_set_foreground(NULL);
	explore_end();
	run->record.kind = process->exit_kind;
	run->record.code = process->exit_code;
	run->record.peak_committed = process->peak_pages;
	run->record.cpu_time_ns = process->cpu_time_ns;
	trace_stats_send(process);
	run->process = NULL;
	object_release(&process->object);
}

/* The program at the index and those that start together with it. */
static uint32_t together_with(uint32_t index)
{
	struct boot_image_program program;
	const char *reason;
	uint32_t count = 1;
	while (count < CAPOS_BOOT_TOGETHER_MAX && index + count < image.program_count &&
		boot_image_program(&image, index + count, &program, &reason) == STATUS_OK &&
		program.together)
		count++;
	return count;
}

/* Leaks are found when the last of them is gone, and reported for each. */
static void run_together(uint32_t index, uint32_t count)
{
	struct capos_exit_record counted = { 0 };
	trace_stats_begin();
	count_resources(&counted.frames_before, &counted.objects_before);
	ledgers_begin(frames_available() - count * RECORD_FRAMES);
	for (uint32_t i = 0; i < count; i++) {
		runs[i].process = NULL;
		runs[i].record = (struct capos_exit_record){ .program = index + i,
			.last = index + i + 1 == image.program_count,
			.frames_before = counted.frames_before,
			.objects_before = counted.objects_before };
		start_program(&runs[i]);
	}
	for (uint32_t i = 0; i < count; i++)
		await_program(&runs[i]);
	count_resources_after(&counted);
	for (uint32_t i = 0; i < count; i++) {
		struct capos_exit_record *record = &runs[i].record;
		record->frames_after = counted.frames_after;
		record->objects_after = counted.objects_after;
		status_t status =
			channel_send(CAPOS_HOST_MESSAGE_EXIT, record, sizeof *record, NULL, 0);
		VERIFY(status == STATUS_OK); /* no one ends the kernel's own threads */
	}
}

_Noreturn void run_programs(const void *bytes, size_t size, const char *command_line)
{
	const char *reason = "no boot image";
	trace_init(command_line);
	linger_s = command_line_number(command_line, "linger", 0);
	status_t status = STATUS(INVALID_ARGUMENT);
	if (bytes && (uintptr_t)bytes % PAGE_SIZE == 0)
		status = boot_image_open(bytes, size, &image, &reason);
	if (status == STATUS(WRONG_STATE))
		reason = version_reason(image.version);
	if (status != STATUS_OK) {
		log_printf("capos: boot image rejected: %s", reason);
		channel_printf(CAPOS_HOST_MESSAGE_LOG, "boot image rejected: %s\n", reason);
		power_off();
	}
	boot_image_set(&image);
	if (image.input)
		channel_preset_input(image.input, image.input_size);
	for (uint32_t i = 0; i < image.program_count;) {
		uint32_t count = together_with(i);
		run_together(i, count);
		i += count;
	}
	power_off();
}

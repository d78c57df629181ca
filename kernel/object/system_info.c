/* SystemInfo: what a program may know of its process and of the machine. */
#include "arch/identity.h"
#include "call/call.h"
#include "core/log.h"
#include "core/string.h"
#include "kernel/methods.h"
#include "machine/cpus.h"
#include "proc/process.h"
#include "sched/sched.h"

status_t method_system_info_process(struct call *call, const struct system_info_process_params *in,
	struct system_info_process_results *out)
{
	(void)in;
	struct process *process = call->process;
	struct capos_process_info info = {
		.process_id = process->id,
		.capabilities = cap_table_count(&process->caps),
		.cpu_time_ns = process_cpu_time_ns(process),
		.started_ns = process->started_ns,
		.cpus_online = cpus_online_count(),
		.cpu_mask = cpus_online(),
		.timer_late_ns = sched_timer_late_ns(),
	};
	spin_lock(&process->lock);
	info.threads = process->thread_count;
	spin_unlock(&process->lock);
	return buffer_write(&out->info, &info, sizeof info);
}

status_t method_system_info_release(struct call *call, const struct system_info_release_params *in,
	struct system_info_release_results *out)
{
	(void)call;
	(void)in;
	char text[96];
	int length = text_format(text, sizeof text, "capOS %u " ARCHITECTURE_NAME " %u CPUs",
		(unsigned)CAPOS_ABI_VERSION, cpus_online_count());
	return buffer_write(
		&out->text, text, (size_t)length < sizeof text ? (size_t)length : sizeof text - 1);
}

/* What the processes are doing, as messages to the host: see look.h.
 *
 * The thread that runs the boot image's programs sends it, because it has nothing else to do while
 * they run and may wait for the host. It goes from each program to those that it started, at most
 * processDepthMax deep, and holds a reference to each process on its way. So the answer is of no
 * one moment, and a process that comes or goes meanwhile is in it or not. */
#include "init/look.h"

#include <capos/abi.h>

#include "core/log.h"
#include "core/string.h"
#include "dev/channel.h"
#include "machine/clock.h"
#include "machine/cpus.h"
#include "mm/frame.h"
#include "object/process_look.h"
#include "proc/process.h"
#include "sched/sched.h"

bool look_asked; /* atomic */

void look_wanted(void)
{
	__atomic_store_n(&look_asked, true, __ATOMIC_RELEASE);
	process_nudge_foreground();
}

static void send(uint32_t type, const void *record, size_t size)
{
	status_t status = channel_send(type, record, size, NULL, 0);
	VERIFY(status == STATUS_OK); /* no one ends the kernel's own threads */
}

static void send_threads(struct process *process)
{
	struct capos_thread_info infos[LOOK_THREADS];
	uint64_t last = 0;
	uint32_t count;
	do {
		count = look_threads(process, last, infos);
		for (uint32_t i = 0; i < count; i++) {
			send(CAPOS_HOST_MESSAGE_LOOKED_THREAD, &infos[i], sizeof infos[i]);
			last = infos[i].thread_id;
		}
	} while (count == LOOK_THREADS);
}

static void send_capabilities(struct process *process)
{
	struct capos_held_capability held;
	struct capos_looked_capability looked;
	for (cap_id_t cap = 0; look_capability(process, &cap, &held);) {
		memcpy(looked.held, &held, sizeof held);
		look_name(process, cap, (char *)looked.name);
		send(CAPOS_HOST_MESSAGE_LOOKED_CAPABILITY, &looked, sizeof looked);
	}
}

static void send_head(struct process *process, const struct process *parent)
{
	struct capos_looked_process looked = { .parent_id = parent ? parent->id : 0 };
	struct capos_process_resources usage;
	struct capos_memory_usage memory;
	process_usage(process, &usage);
	look_memory(process, &memory);
	text_copy((char *)looked.name, process->name, sizeof looked.name);
	memcpy(looked.usage, &usage, sizeof usage);
	memcpy(looked.memory, &memory, sizeof memory);
	send(CAPOS_HOST_MESSAGE_LOOKED_PROCESS, &looked, sizeof looked);
}

static void send_process(struct process *process, const struct process *parent)
{
	send_head(process, parent);
	send_threads(process);
	send_capabilities(process);
}

void look_send(struct process *process)
{
	struct process *path[CAPOS_PROCESS_DEPTH_MAX + 1] = { process };
	uint64_t last[CAPOS_PROCESS_DEPTH_MAX + 1] = { 0 };
	uint32_t depth = 0;
	send_process(process, NULL);
	for (;;) {
		struct process *child = process_next_child(path[depth], last[depth]);
		if (!child && depth == 0)
			return;
		if (!child) {
			object_release(&path[depth--]->object);
			continue;
		}
		send_process(child, path[depth]);
		last[depth++] = child->id;
		ASSERT(depth <= CAPOS_PROCESS_DEPTH_MAX);
		path[depth] = child;
		last[depth] = 0;
		sched_preemption_point();
	}
}

void look_send_end(void)
{
	const struct capos_looked_machine looked = {
		.now_ns = clock_now_ns(),
		.free_frames = frames_free(),
		.frames = frames_total(),
		.objects = object_count(),
		.cpus = cpus_online_count(),
	};
	send(CAPOS_HOST_MESSAGE_LOOKED_END, &looked, sizeof looked);
}

/* Looking into a process from outside, for the methods of Process and for the host. A thread with
 * no lock held. The process may have ended: then there is nothing in it. */
#ifndef CAPOS_OBJECT_PROCESS_LOOK_H
#define CAPOS_OBJECT_PROCESS_LOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "cap/table.h"

struct capos_held_capability;
struct capos_memory_usage;
struct capos_thread_info;
struct process;

/* At most so many threads at once, because each pass goes through threadsMax of them. */
#define LOOK_THREADS 4u

/* The first capability behind *cap, which becomes it; false: none follows. */
bool look_capability(
	struct process *process, cap_id_t *cap, struct capos_held_capability *held) MUST_CHECK;
/* The name by which the process began with it; 48 bytes, empty: with another. */
void look_name(struct process *process, cap_id_t cap, char *name);
/* The threads with the lowest ids above the last. Returns how many; fewer than LOOK_THREADS: no
 * more follow. */
uint32_t look_threads(struct process *process, uint64_t last, struct capos_thread_info *infos);
void look_memory(struct process *process, struct capos_memory_usage *usage);

#endif

/* A kernel thread that takes processes apart after their last thread has gone, because no thread
 * can free the stack on which it runs. It also destroys the objects that hold others, so that these
 * are destroyed with a stack of known depth (core/object.h), and does what interrupts leave to a
 * thread. */
#ifndef CAPOS_PROC_REAPER_H
#define CAPOS_PROC_REAPER_H

#include "core/list.h"

struct process;

/* What an interrupt leaves to a thread. */
struct deferred {
	struct list_node node;
	void (*run)(struct deferred *deferred);
};

/* Boot, once, when threads can be made. */
void reaper_init(void);
/* The last thread of the process is gone. Takes over one reference to the process. Any context that
 * may take the WAIT lock. */
void reaper_add(struct process *process);
/* Has run called by the reaper's thread, without locks. Not again before that. Any context that
 * may take the WAIT lock. */
void reaper_defer(struct deferred *deferred);

#endif

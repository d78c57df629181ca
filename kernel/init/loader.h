/* Making a process out of a program of the boot image. A thread. */
#ifndef CAPOS_INIT_LOADER_H
#define CAPOS_INIT_LOADER_H

#include "capos_kernel/status.h"

struct boot_image_program;
struct process;
struct thread;

/* Fills an empty process: segments, TLS block, stack with arguments, capabilities with their CapSet
 * page, clock page, first thread. The thread is ready for thread_start. On failure *reason is a
 * text that says why, and the caller must drop the process. */
status_t process_load(struct process *process, const struct boot_image_program *program,
	struct thread **thread, const char **reason) MUST_CHECK;

/* The reason, with both numbers, for not taking what was built for another version of the
 * interface. Valid until the next call; the boot runner makes one at a time. */
const char *version_reason(uint32_t version);

#endif

/* Starting other programs, and waiting for them. What a child gets is a copy of what the caller
 * holds and names; nothing comes by itself. It ends with the process that started it. */
#ifndef CAPOS_PROCESS_H
#define CAPOS_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <capos/call.h>

#ifdef __cplusplus
extern "C" {
#endif

struct capos_grant {
	const char *name; /* in the child's CapSet; at most CAPOS_SPAWN_GRANT_NAME_MAX bytes */
	capos_cap_t cap;  /* the caller's */
};

struct capos_spawn {
	/* The program: a file of the boot image by its path, or where image is not 0, size bytes
	 * from offset on in that MemoryObject or BootImage. */
	const char *path;
	capos_cap_t image;
	uint64_t offset, size;

	const char *const *argv; /* ended by NULL */
	const char *const *envp; /* ended by NULL; NULL: none */

	/* NULL: all that the caller's CapSet names. */
	const struct capos_grant *grants;
	size_t grant_count;

	/* Pages that are taken out of what the caller may use; 0: the child shares that. */
	uint64_t memory_pages;

	/* Of its threads, capabilities and calls; NULL: it shares what the caller may
	 * use. docs/budgets.md. */
	const struct capos_spawn_limits *limits;

	/* Its threads remember their last calls, for capos_process_last_calls. Calls take longer
	 * then. */
	bool remember_calls;
};

/* Starts the program. *process is a capability to wait for it, to end it and to release. 0 or an
 * error: those of ProcessSpawner.spawn, and notFound where there is no such path. */
int64_t capos_spawn(const struct capos_spawn *spawn, capos_cap_t *process);

/* Waits until the process has ended, also when notifications interrupt, and releases the
 * capability. *end: how it ended. 0 or an error. */
int64_t capos_process_finish(capos_cap_t process, struct capos_process_end *end);

#ifdef __cplusplus
}
#endif

#endif

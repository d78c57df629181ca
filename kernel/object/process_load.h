/* Making a process out of an executable. A thread. */
#ifndef CAPOS_OBJECT_PROCESS_LOAD_H
#define CAPOS_OBJECT_PROCESS_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "capos_kernel/status.h"
#include "kernel/grants.h"
#include "proc/boot_image.h"
#include "proc/elf.h"

struct process;
struct thread;

/* What a process is made of. All of it stays the caller's. */
struct program {
	struct elf_source elf;
	/* The executable is at elf.bytes, page-aligned in frames of the boot image, which do not
	 * change: read-only pages are mapped from there. */
	bool mappable;
	uint64_t image_offset; /* of it in the boot image; 0: it is not from there */
	struct boot_image_strings args, env;
	const struct grant *grants; /* names shorter than a CapSet entry's */
	uint32_t grant_count;       /* at most CAPOS_SPAWN_GRANTS_MAX */
};

/* Fills an empty process: segments, TLS block, stack with arguments, capabilities with their CapSet
 * page, clock page, first thread. The thread is ready for thread_start. On failure *reason is a
 * text that says why, and the caller must discard the process. */
status_t process_load(struct process *process, const struct program *program,
	struct thread **thread, const char **reason) MUST_CHECK;

/* The name of the process in texts: the last component of the first argument. Valid as long as
 * that. */
const char *program_name(const struct boot_image_strings *args);

/* The reason, with both numbers, for not taking what was built for another version of the
 * interface. */
void version_text(uint32_t version, char *text, size_t size);
/* The same, valid until the next call; the boot runner makes one at a time. */
const char *version_reason(uint32_t version);

#endif

/* What the tests of ProcessSpawner and Process share. A child runs the test's own program, and its
 * first argument is the name of what it does: a line of the list "roles". */
#ifndef CAPOS_MACHINE_SPAWN_H
#define CAPOS_MACHINE_SPAWN_H

#include "support.h"

/* Where this program is in the boot image. */
static struct {
	const char *path; /* argv[0], whose last part names its file, and no other */
	uint64_t offset, size;
	const uint8_t *bytes; /* mapped */
} own;

__attribute__((unused)) static void find_own_program(const char *path)
{
	uint64_t address = 0;
	OK(capos_boot_image_map(capos_caps.boot, &address));
	const uint8_t *image = (const uint8_t *)address;
	const struct capos_boot_image_header *header = (const void *)image;
	const struct capos_boot_file *file = (const void *)(image + header->files_offset);
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	own.path = path;
	for (uint64_t i = 0; i < header->file_count; i++, file++) {
		if (file->mode >> 12 != 010 || file->name_size != strlen(name) ||
			memcmp(image + file->name_offset, name, file->name_size) != 0)
			continue;
		own.offset = file->data_offset;
		own.size = file->size;
		own.bytes = image + own.offset;
	}
	CHECK(own.size != 0);
}

/* What children do. The result is the exit code. */
struct role {
	const char *name;
	int (*run)(int argc, char **argv);
};

/* For main: -1 when this is not a child. */
__attribute__((unused)) static int play_role(
	const struct role *roles, unsigned count, int argc, char **argv)
{
	if (capos_caps.boot)
		find_own_program(argv[0]);
	for (unsigned i = 0; argc > 1 && i < count; i++)
		if (strcmp(roles[i].name, argv[1]) == 0)
			return roles[i].run(argc, argv);
	return -1;
}

#define PLAY_ROLE(argc, argv) play_role(roles, sizeof roles / sizeof roles[0], argc, argv)

/* A list of grants being written. */
struct grants {
	uint32_t count;
	struct capos_spawn_grant list[CAPOS_SPAWN_GRANTS_MAX + 1];
};

__attribute__((unused)) static void grant(struct grants *grants, const char *name, capos_cap_t cap)
{
	struct capos_spawn_grant *next = &grants->list[grants->count++];
	memset(next, 0, sizeof *next);
	next->cap = cap;
	strncpy((char *)next->name, name, sizeof next->name - 1);
}

/* What a C program needs to start, and to say something. */
__attribute__((unused)) static struct grants usual_grants(void)
{
	struct grants grants = { .count = 0 };
	grant(&grants, "stdout", capos_caps.standard_output);
	grant(&grants, "stderr", capos_caps.standard_error);
	grant(&grants, "vm", capos_caps.vm);
	grant(&grants, "memory_allocator", capos_caps.memory_allocator);
	grant(&grants, "thread_control", capos_caps.thread_control);
	grant(&grants, "thread_spawner", capos_caps.thread_spawner);
	grant(&grants, "park", capos_caps.park);
	grant(&grants, "timer", capos_caps.timer);
	grant(&grants, "system", capos_caps.system);
	grant(&grants, "boot", capos_caps.boot);
	grant(&grants, "process_spawner", capos_caps.process_spawner);
	return grants;
}

/* argv of a child: the program's path, then these. */
struct strings {
	char bytes[512];
	size_t size;
};

__attribute__((unused)) static void strings_add(struct strings *strings, const char *text)
{
	size_t size = strlen(text) + 1;
	memcpy(strings->bytes + strings->size, text, size);
	strings->size += size;
}

__attribute__((unused)) static struct strings arguments(const char *role, const char *more)
{
	struct strings strings = { .size = 0 };
	strings_add(&strings, own.path);
	strings_add(&strings, role);
	if (more)
		strings_add(&strings, more);
	return strings;
}

/* pages: 0: shared. */
__attribute__((unused)) static int64_t spawn_with(const struct grants *grants,
	const struct strings *args, uint64_t pages, capos_cap_t *process)
{
	return capos_process_spawner_spawn(capos_caps.process_spawner, capos_caps.boot, own.offset,
		own.size, args->bytes, args->size, "A=1\0B=", 7, grants->list,
		grants->count * sizeof grants->list[0], pages, pages ? 0 : CAPOS_SPAWN_SHARED, NULL,
		0, process);
}

/* The same with other limits; its memory is shared. */
__attribute__((unused)) static int64_t spawn_limited(const struct grants *grants,
	const struct strings *args, const struct capos_spawn_limits *limits, capos_cap_t *process)
{
	return capos_process_spawner_spawn(capos_caps.process_spawner, capos_caps.boot, own.offset,
		own.size, args->bytes, args->size, NULL, 0, grants->list,
		grants->count * sizeof grants->list[0], 0, CAPOS_SPAWN_SHARED, limits,
		sizeof *limits, process);
}

__attribute__((unused)) static capos_cap_t spawn(const char *role, const char *more)
{
	struct grants grants = usual_grants();
	struct strings args = arguments(role, more);
	capos_cap_t process = 0;
	OK(spawn_with(&grants, &args, 0, &process));
	return process;
}

/* Waits and releases the handle. */
__attribute__((unused)) static struct capos_process_end finish(capos_cap_t process)
{
	struct capos_process_end end = { .kind = 99 };
	CHECK_EQUAL(capos_process_wait(process, CAPOS_WAIT_FOREVER, &end, sizeof end), sizeof end);
	OK(capos_release(process));
	return end;
}

__attribute__((unused)) static void finishes(capos_cap_t process, uint32_t kind, int32_t code)
{
	struct capos_process_end end = finish(process);
	CHECK_EQUAL(end.kind, kind);
	CHECK_EQUAL(end.code, code);
}

#endif

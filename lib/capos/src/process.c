/* Starting other programs. */
#include <capos/process.h>

#include <stdlib.h>
#include <string.h>

#include <capos/boot.h>
#include <capos/caps.h>
#include <capos/stubs.h>

#include "internal.h"

/* The request's lists, as the kernel reads them. */
struct lists {
	char *args, *env;
	size_t args_size, env_size;
	struct capos_spawn_grant *grants;
	size_t grant_count;
};

/* NUL-terminated strings, one after the other. False: no memory. */
static bool join(const char *const *strings, char **joined, size_t *size)
{
	size_t count = 0;

	*size = 0;
	*joined = NULL;
	if (strings == NULL)
		return true;
	for (; strings[count] != NULL; count++)
		*size += strlen(strings[count]) + 1;
	if (count == 0)
		return true;
	char *next = *joined = malloc(*size);
	if (next == NULL)
		return false;
	for (size_t i = 0; i < count; i++) {
		size_t length = strlen(strings[i]) + 1;
		memcpy(next, strings[i], length);
		next += length;
	}
	return true;
}

/* A name that is too long stays so, and the kernel rejects it. */
static void set_grant(struct capos_spawn_grant *grant, const char *name, capos_cap_t cap)
{
	size_t length = strlen(name);

	memset(grant, 0, sizeof(*grant));
	grant->cap = cap;
	memcpy(grant->name, name, length < sizeof(grant->name) ? length : sizeof(grant->name));
}

static bool list_grants(const struct capos_spawn *spawn, struct lists *lists)
{
	const struct capos_cap_set_entry *entries = capos_cap_entries();
	size_t count = spawn->grants != NULL ? spawn->grant_count : capos_cap_set()->count;

	lists->grant_count = count;
	lists->grants = malloc((count + 1) * sizeof(lists->grants[0]));
	if (lists->grants == NULL)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (spawn->grants != NULL)
			set_grant(&lists->grants[i], spawn->grants[i].name, spawn->grants[i].cap);
		else
			set_grant(&lists->grants[i], (const char *)entries[i].name, entries[i].cap);
	}
	return true;
}

/* A grant that the program does not hold itself: its own manifest has to name it. */
static bool holds_all(const struct capos_spawn *spawn)
{
	bool all = true;

	for (size_t i = 0; spawn->grants != NULL && i < spawn->grant_count; i++)
		if (spawn->grants[i].cap == 0) {
			grant_not_found(spawn->grants[i].name);
			(void)grant_missing(GRANT_USED);
			all = false;
		}
	return all;
}

/* ---- the call ---- */

static uint64_t flags_of(const struct capos_spawn *spawn)
{
	return (spawn->memory_pages == 0 ? CAPOS_SPAWN_SHARED : 0) |
		(spawn->remember_calls ? CAPOS_SPAWN_REMEMBER_CALLS : 0);
}

int64_t capos_spawn(const struct capos_spawn *spawn, capos_cap_t *process)
{
	struct lists lists = { 0 };
	capos_cap_t image = spawn->image;
	uint64_t offset = spawn->offset, size = spawn->size;
	int64_t status = CAPOS_E(NO_MEMORY);

	if (!holds_all(spawn))
		return CAPOS_E(NOT_FOUND);
	if (image == 0) {
		image = capos_caps.boot;
		int64_t found = capos_boot_find(spawn->path, &offset, &size);
		if (found < 0)
			return found;
	}
	if (join(spawn->argv, &lists.args, &lists.args_size) &&
		join(spawn->envp, &lists.env, &lists.env_size) && list_grants(spawn, &lists))
		status = capos_process_spawner_spawn(capos_caps.process_spawner, image, offset,
			size, lists.args, lists.args_size, lists.env, lists.env_size, lists.grants,
			lists.grant_count * sizeof(lists.grants[0]), spawn->memory_pages,
			flags_of(spawn), spawn->limits,
			spawn->limits != NULL ? sizeof(*spawn->limits) : 0, process);
	free(lists.args);
	free(lists.env);
	free(lists.grants);
	return status;
}

int64_t capos_process_finish(capos_cap_t process, struct capos_process_end *end)
{
	int64_t status;

	do
		status = capos_process_wait(process, CAPOS_WAIT_FOREVER, end, sizeof(*end));
	while (status == CAPOS_E(INTERRUPTED));
	if (status < 0)
		return status;
	return capos_release(process);
}

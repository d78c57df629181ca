/* Starting other programs. */
#include <capos/process.h>

#include <stdlib.h>
#include <string.h>

#include <capos/caps.h>
#include <capos/stubs.h>

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

/* ---- a file of the boot image ---- */

static const struct capos_boot_file *file_named(const uint8_t *image,
	const struct capos_boot_file *directory, const char *name, size_t length)
{
	const struct capos_boot_image_header *header = (const void *)image;
	const struct capos_boot_file *files = (const void *)(image + header->files_offset);
	const struct capos_boot_file *child = files + directory->data_offset;

	for (uint64_t i = 0; i < directory->size; i++, child++) {
		if (child->name_size == length &&
			memcmp(image + child->name_offset, name, length) == 0)
			return child;
	}
	return NULL;
}

#define FILE_TYPE_MASK 0170000u
#define FILE_TYPE_DIRECTORY 0040000u
#define FILE_TYPE_REGULAR 0100000u

/* Links are not followed. */
static int64_t find_file(const char *path, uint64_t *offset, uint64_t *size)
{
	uint64_t address;
	int64_t status = capos_boot_image_map(capos_caps.boot, &address);

	if (status < 0)
		return status;
	const uint8_t *image = (const uint8_t *)address;
	const struct capos_boot_image_header *header = (const void *)image;
	const struct capos_boot_file *file = (const void *)(image + header->files_offset);
	while (*path != '\0') {
		size_t length = strcspn(path, "/");

		if (length != 0 && (file->mode & FILE_TYPE_MASK) != FILE_TYPE_DIRECTORY)
			return CAPOS_E(NOT_FOUND);
		if (length != 0)
			file = file_named(image, file, path, length);
		if (file == NULL)
			return CAPOS_E(NOT_FOUND);
		path += length + (path[length] == '/');
	}
	if ((file->mode & FILE_TYPE_MASK) != FILE_TYPE_REGULAR)
		return CAPOS_E(NOT_FOUND);
	*offset = file->data_offset;
	*size = file->size;
	return 0;
}

/* ---- the call ---- */

int64_t capos_spawn(const struct capos_spawn *spawn, capos_cap_t *process)
{
	struct lists lists = { 0 };
	capos_cap_t image = spawn->image;
	uint64_t offset = spawn->offset, size = spawn->size;
	int64_t status = CAPOS_E(NO_MEMORY);

	if (image == 0) {
		image = capos_caps.boot;
		int64_t found = find_file(spawn->path, &offset, &size);
		if (found < 0)
			return found;
	}
	if (join(spawn->argv, &lists.args, &lists.args_size) &&
		join(spawn->envp, &lists.env, &lists.env_size) && list_grants(spawn, &lists))
		status = capos_process_spawner_spawn(capos_caps.process_spawner, image, offset,
			size, lists.args, lists.args_size, lists.env, lists.env_size, lists.grants,
			lists.grant_count * sizeof(lists.grants[0]), spawn->memory_pages,
			spawn->memory_pages == 0 ? CAPOS_SPAWN_SHARED : 0, process);
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

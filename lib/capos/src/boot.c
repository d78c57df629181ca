/* Files of the boot image. */
#include <capos/boot.h>

#include <stddef.h>
#include <string.h>

#include <capos/caps.h>
#include <capos/stubs.h>

#define FILE_TYPE_MASK 0170000u
#define FILE_TYPE_DIRECTORY 0040000u
#define FILE_TYPE_REGULAR 0100000u

int64_t capos_boot_map(const uint8_t **image)
{
	uint64_t address;
	int64_t status = capos_boot_image_map(capos_caps.boot, &address);

	if (status < 0)
		return status;
	*image = (const uint8_t *)address;
	return 0;
}

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

int64_t capos_boot_find(const char *path, uint64_t *offset, uint64_t *size)
{
	const uint8_t *image;
	int64_t status = capos_boot_map(&image);

	if (status < 0)
		return status;
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

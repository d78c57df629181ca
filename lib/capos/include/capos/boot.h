/* Files of the boot image, which is mapped read-only when it is first asked for one. */
#ifndef CAPOS_BOOT_H
#define CAPOS_BOOT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where the process sees the image. 0 or an error: those of BootImage.map. */
int64_t capos_boot_map(const uint8_t **image);

/* Where a file lies in the image: *offset in bytes from its start, *size in bytes. Links are not
 * followed. 0, notFound where path names no file, or an error of capos_boot_map. */
int64_t capos_boot_find(const char *path, uint64_t *offset, uint64_t *size);

#ifdef __cplusplus
}
#endif

#endif

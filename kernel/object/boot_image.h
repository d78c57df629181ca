/* The boot image the machine was started with, and the BootImage capability over it. */
#ifndef CAPOS_OBJECT_BOOT_IMAGE_H
#define CAPOS_OBJECT_BOOT_IMAGE_H

#include <stdint.h>

struct boot_image;

/* Boot, once, before the first program: the image, which stays where it is. */
void boot_image_set(const struct boot_image *image);
/* The bytes of a range; NULL when it is not inside what programs see of the image. Any context. */
const void *boot_image_range(uint64_t offset, uint64_t size);

#endif

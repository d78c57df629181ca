/* The names that HostShare allows. Pure. */
#ifndef CAPOS_OBJECT_HOST_SHARE_H
#define CAPOS_OBJECT_HOST_SHARE_H

#include <stdbool.h>
#include <stddef.h>

#define HOST_NAME_BYTES_MAX 255u

bool host_name_allowed(const char *name, size_t length);

#endif

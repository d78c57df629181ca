/* The objects of which there is exactly one, or three: they stand for an authority and hold no
 * state of their own, so they live as long as the kernel and are not counted. What they act on is
 * the calling process and thread, or the machine. */
#ifndef CAPOS_OBJECT_MARKERS_H
#define CAPOS_OBJECT_MARKERS_H

#include "core/object.h"

extern struct object object_stdin, object_stdout, object_stderr; /* Console */
extern struct object object_virtual_memory;
extern struct object object_memory_allocator;
extern struct object object_thread_control;
extern struct object object_thread_spawner;
extern struct object object_timer;
extern struct object object_entropy_source;
extern struct object object_boot_image;
extern struct object object_system_info;
extern struct object object_host_share;

#endif

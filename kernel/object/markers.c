/* The static objects: see markers.h. */
#include "object/markers.h"

#include "kernel/methods.h"

struct object object_stdin = OBJECT_STATIC(&interface_descs[INTERFACE_CONSOLE]);
struct object object_stdout = OBJECT_STATIC(&interface_descs[INTERFACE_CONSOLE]);
struct object object_stderr = OBJECT_STATIC(&interface_descs[INTERFACE_CONSOLE]);
struct object object_virtual_memory = OBJECT_STATIC(&interface_descs[INTERFACE_VIRTUAL_MEMORY]);
struct object object_memory_allocator = OBJECT_STATIC(&interface_descs[INTERFACE_MEMORY_ALLOCATOR]);
struct object object_thread_control = OBJECT_STATIC(&interface_descs[INTERFACE_THREAD_CONTROL]);
struct object object_thread_spawner = OBJECT_STATIC(&interface_descs[INTERFACE_THREAD_SPAWNER]);
struct object object_timer = OBJECT_STATIC(&interface_descs[INTERFACE_TIMER]);
struct object object_entropy_source = OBJECT_STATIC(&interface_descs[INTERFACE_ENTROPY_SOURCE]);
struct object object_boot_image = OBJECT_STATIC(&interface_descs[INTERFACE_BOOT_IMAGE]);
struct object object_system_info = OBJECT_STATIC(&interface_descs[INTERFACE_SYSTEM_INFO]);
struct object object_host_share = OBJECT_STATIC(&interface_descs[INTERFACE_HOST_SHARE]);

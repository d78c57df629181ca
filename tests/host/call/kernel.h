/* The state of kernel.c that a test can read and set. */
#ifndef TEST_CALL_KERNEL_H
#define TEST_CALL_KERNEL_H

#include <stdint.h>

extern long kmem_live;       /* allocations not freed */
extern long kmem_fail_after; /* allocations until one fails; -1: never */

extern unsigned later_calls; /* of object_destroy_later */

#define USER_BASE 0x10000ul
#define USER_BYTES 0x20000ul
extern uint8_t user_memory[USER_BYTES];

#endif

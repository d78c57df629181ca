/* The only functions that touch user memory. They act on the current thread's address space, check
 * the range against the user half and fault pages in. A bad address is an error, never a crash.
 *
 * Any context of a user thread that may take the ASPACE lock, because an access may fault, unless
 * said otherwise. */
#ifndef CAPOS_MM_USER_H
#define CAPOS_MM_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capos_kernel/status.h"
#include "capos_kernel/user_ptr.h"

/* STATUS(BAD_ADDRESS) when any byte cannot be read or written; bytes before it may have been
 * copied. */
status_t copy_from_user(void *to, struct user_ptr from, size_t size) MUST_CHECK;
status_t copy_to_user(struct user_ptr to, const void *from, size_t size) MUST_CHECK;

/* Reads a 4-aligned word without faulting pages in; false when it cannot be read right now. Any
 * lock may be held. */
bool user_read_u32_nofault(struct user_ptr from, uint32_t *value) MUST_CHECK;
/* Faults the page of a user address in, for reading. */
status_t user_touch(struct user_ptr byte) MUST_CHECK;

#endif

/* Accesses to user memory of the current address space. mm/user.c checks the ranges and is the only
 * caller. A page fault in one of them goes to kernel_page_fault() (arch/handlers.h); what that
 * cannot resolve ends the access. Any context of a user thread that may take the ASPACE lock,
 * unless said otherwise. */
#ifndef CAPOS_ARCH_USER_ACCESS_H
#define CAPOS_ARCH_USER_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Around accesses. Elsewhere the processor stops the kernel's accesses to user pages, if it can. */
static inline void user_access_begin(void);
static inline void user_access_end(void);

/* One side is user memory. False when a byte of that side could not be reached; those before it may
 * have been copied. */
bool user_copy(void *to, const void *from, size_t size);
/* Any context. `from` is a multiple of 4. Pages are not faulted in: false when the word cannot be
 * read right now. */
bool user_load_u32_nofault(const void *from, uint32_t *value);

#include "arch/impl/user_access.h"

#endif

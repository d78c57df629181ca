/* The address at which the kernel reads or writes memory of a program. It has a type of its own
 * that the compiler converts neither to a pointer nor to a number, so that neither can be taken for
 * the other by mistake. The functions of mm/user.h and mm/aspace.h that take one check it, because
 * a program may give any number. Where addresses are only compared or handed on, as in regions and
 * fault reports, they are numbers. Pure. */
#ifndef CAPOS_KERNEL_USER_PTR_H
#define CAPOS_KERNEL_USER_PTR_H

#include <stdint.h>

struct user_ptr {
	uint64_t address;
};

static inline struct user_ptr user_ptr(uint64_t address)
{
	return (struct user_ptr){ address };
}

/* Wraps around as numbers do. */
static inline struct user_ptr user_ptr_add(struct user_ptr pointer, uint64_t bytes)
{
	return (struct user_ptr){ pointer.address + bytes };
}

#endif

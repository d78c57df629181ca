/* What a kernel function answers with.
 *
 * A status is 0 for success and otherwise negative, in one of two ranges that never meet: the
 * method's own errors, -(CAPOS_ERROR_BASE + CAPOS_ERROR_x), and the call layer's,
 * -CAPOS_TRANSPORT_ERROR_x. Both are what a register call returns to the program, so a status
 * travels from where it arises to user mode unchanged. */
#ifndef CAPOS_KERNEL_STATUS_H
#define CAPOS_KERNEL_STATUS_H

#include <capos/abi.h>

typedef int status_t;

#define STATUS_OK 0
#define STATUS(name) (-(int)(CAPOS_ERROR_BASE + CAPOS_ERROR_##name))
#define STATUS_TRANSPORT(name) (-(int)CAPOS_TRANSPORT_ERROR_##name)

/* The status is a method's error, with an error code; otherwise it is success or the call
 * layer's. */
#define STATUS_IS_ERROR(status) ((status) < -(int)CAPOS_ERROR_BASE)
#define STATUS_ERROR_CODE(status) ((unsigned int)-(status) - CAPOS_ERROR_BASE)

#ifndef MUST_CHECK
#define MUST_CHECK __attribute__((warn_unused_result))
#endif

#endif
